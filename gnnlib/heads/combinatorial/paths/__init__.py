"""Shortest paths: exact, learned distances, and A* that a network guides."""
