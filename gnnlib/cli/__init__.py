"""The command line, one file a head; what a command needs is imported inside it, so that ``--help`` is quick."""

from gnnlib.cli.app import main

__all__ = ["main"]
