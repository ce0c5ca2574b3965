"""Graphs in and out: networkx, arrays, sparse matrices, PyG's `Data` and `HeteroData`."""

from __future__ import annotations

from gnnlib.graphs.arrays import from_adjacency, from_arrays, from_data, to_adjacency, to_data
from gnnlib.graphs.hetero import FeatureLayout, HeteroLayout, from_hetero, to_hetero
from gnnlib.graphs.network import from_networkx, to_networkx

__all__ = [
    "FeatureLayout",
    "HeteroLayout",
    "from_adjacency",
    "from_arrays",
    "from_data",
    "from_hetero",
    "from_networkx",
    "to_adjacency",
    "to_data",
    "to_hetero",
    "to_networkx",
]
