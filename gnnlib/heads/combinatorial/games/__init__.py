"""Decisions on graphs as games: choose an edge or a node at a time, and be rewarded."""
