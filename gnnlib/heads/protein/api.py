"""The verbs of the protein head in one place; each is explained where it is made.

Examples
--------
>>> from gnnlib.heads.protein.samples import sample_path
>>> secondary_structure(read_structure(sample_path("helix"))).states3.count("H") > 20
True
"""

from __future__ import annotations

from gnnlib.heads.protein.assessment import assess, consensus
from gnnlib.heads.protein.decode import reconstruct
from gnnlib.heads.protein.design import predict_sequence
from gnnlib.heads.protein.graph import residue_graph
from gnnlib.heads.protein.io import (
    iterate_structures,
    read_models,
    read_structure,
    read_structures,
    write_structure,
)
from gnnlib.heads.protein.problem import Structure, as_structure
from gnnlib.heads.protein.secondary import secondary_structure
from gnnlib.heads.protein.sequence_models import predict_distances
from gnnlib.heads.protein.torsions import torsions

__all__ = [
    "Structure",
    "as_structure",
    "assess",
    "consensus",
    "iterate_structures",
    "predict_distances",
    "predict_sequence",
    "read_models",
    "read_structure",
    "read_structures",
    "reconstruct",
    "residue_graph",
    "secondary_structure",
    "torsions",
    "write_structure",
]
