"""Edges and features of the graphs that models read."""
