"""Graphs: what they look like, how they are built, how they come in and go out.

Names load on first use: building neighbour lists imports scipy alone, torch comes with features and conversion, PyG and
networkx with the functions that speak of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "build": [
            "LineGraph",
            "complete_graph",
            "delaunay_graph",
            "knn_graph",
            "knn_neighbours",
            "line_graph",
            "quadrant_neighbours",
            "radius_graph",
        ],
        "convert": [
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
        ],
        "features": [
            "ReverseEdgeFeatures",
            "mean_neighbour_distance",
            "normalised_distance",
            "radial_basis",
            "relative_pose",
            "reverse_edge_features",
        ],
        "schema": ["GraphLike", "GraphSpec", "GraphTensors"],
    },
)

__all__ = [
    "FeatureLayout",
    "GraphLike",
    "GraphSpec",
    "GraphTensors",
    "HeteroLayout",
    "LineGraph",
    "ReverseEdgeFeatures",
    "complete_graph",
    "delaunay_graph",
    "from_adjacency",
    "from_arrays",
    "from_data",
    "from_hetero",
    "from_networkx",
    "knn_graph",
    "knn_neighbours",
    "line_graph",
    "mean_neighbour_distance",
    "normalised_distance",
    "quadrant_neighbours",
    "radial_basis",
    "radius_graph",
    "relative_pose",
    "reverse_edge_features",
    "to_adjacency",
    "to_data",
    "to_hetero",
    "to_networkx",
]

if TYPE_CHECKING:
    from gnnlib.graphs.build import (
        LineGraph,
        complete_graph,
        delaunay_graph,
        knn_graph,
        knn_neighbours,
        line_graph,
        quadrant_neighbours,
        radius_graph,
    )
    from gnnlib.graphs.convert import (
        FeatureLayout,
        HeteroLayout,
        from_adjacency,
        from_arrays,
        from_data,
        from_hetero,
        from_networkx,
        to_adjacency,
        to_data,
        to_hetero,
        to_networkx,
    )
    from gnnlib.graphs.features import (
        ReverseEdgeFeatures,
        mean_neighbour_distance,
        normalised_distance,
        radial_basis,
        relative_pose,
        reverse_edge_features,
    )
    from gnnlib.graphs.schema import GraphLike, GraphSpec, GraphTensors
