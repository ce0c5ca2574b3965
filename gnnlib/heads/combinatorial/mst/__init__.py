"""Minimum spanning trees: exact, learned, and as a game."""
