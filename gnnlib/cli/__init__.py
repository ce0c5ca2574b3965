"""The command line, one file a head."""
