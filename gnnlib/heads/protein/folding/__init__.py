"""From distances to coordinates: starts, energies and their minimisers."""
