"""Vehicles that drive: policies, their graphs, and the scores of their drives."""
