"""Graphs: what they look like, how they are built, how they come in and go out."""
