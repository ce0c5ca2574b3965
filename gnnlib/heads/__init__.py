"""One sub-package per application; they share the encoder and never import each other."""
