"""The residue graph as PyG data; apart from `graph`, because PyG takes two seconds to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_geometric.data import Data

from gnnlib.heads.protein.graphs.graph_edges import EDGE_KINDS
from gnnlib.heads.protein.residues import AMINO_ACIDS, UNKNOWN

if TYPE_CHECKING:
    import networkx as nx
    from torch import Tensor

__all__ = ["ProteinGraph"]


class ProteinGraph(Data):
    """The residues of a structure with all their edges; what `gnnlib.residue_graph` returns.

    A plain PyG graph otherwise: it batches, moves and saves like any `torch_geometric.data.Data`.

    Attributes
    ----------
    pos : float32 tensor [L, 3]
        CA positions in angstrom.
    pos_bb : float32 tensor [L, 5, 3]
        N, CA, C, O, CB; 0 where `atom_mask` is false.
    atom_mask : bool tensor [L, 5]
    aa : int64 tensor [L]
        Amino acid, index in ``"ACDEFGHIKLMNPQRSTVWY"``, 20 unknown.
    chain, segment : int64 tensor [L]
        Number of the chain and of the unbroken stretch.
    residue_number, insertion_code : int64 tensor [L]
        As in the file; the insertion code as the number of its character, 0 for none.
    b_factor : float32 tensor [L]
        NaN when unknown.
    edge_index : int64 tensor [2, E]
        Row 0 sends, row 1 receives; sorted by receiver.
    edge_type : int64 tensor [E]
        Kinds of the edge as bits, in the order of `edge_kinds`.
    edge_length : float32 tensor [E]
        CA distance in angstrom.
    x, edge_attr : float32 tensors [L, 126], [E, 64]
        Features of `PROTEIN_SPEC`, when asked for.
    name : str
    """

    @property
    def edge_kinds(self) -> tuple[str, ...]:
        """Names of the bits of `edge_type`, the lowest first."""
        return EDGE_KINDS

    def has_kind(self, kind: str) -> Tensor:
        """Return which edges are of one kind, bool [E].

        Raises
        ------
        ValueError
            If there is no such kind.
        """
        mask: Tensor = (self.edge_type >> EDGE_KINDS.index(kind)) & 1
        return mask.bool()

    def to_networkx(self, *, directed: bool = False) -> nx.Graph[int]:
        """Return the graph for networkx.

        Parameters
        ----------
        directed : bool, default False
            Keep the direction of each edge; otherwise an edge carries the kinds of both directions.

        Returns
        -------
        networkx.Graph or DiGraph
            Nodes 0 .. L - 1 with ``chain``, ``residue_number``, ``insertion_code``, ``amino_acid``, ``position``; edges
            with ``kinds`` (a set of names) and ``distance`` in angstrom.
        """
        import networkx as nx

        graph: nx.Graph[int] = nx.DiGraph(name=self.name) if directed else nx.Graph(name=self.name)
        letters = AMINO_ACIDS + UNKNOWN
        rows = zip(
            self.chain.tolist(),
            self.residue_number.tolist(),
            self.insertion_code.tolist(),
            self.aa.tolist(),
            self.pos.tolist(),
            strict=True,
        )
        for node, (chain, number, code, letter, place) in enumerate(rows):
            graph.add_node(
                node,
                chain=self.chain_names[chain],
                residue_number=number,
                insertion_code=chr(code) if code else "",
                amino_acid=letters[letter],
                position=tuple(place),
            )
        for (sender, receiver), bits, length in zip(
            self.edge_index.t().tolist(), self.edge_type.tolist(), self.edge_length.tolist(), strict=True
        ):
            kinds = {kind for bit, kind in enumerate(EDGE_KINDS) if bits >> bit & 1}
            if graph.has_edge(sender, receiver):
                graph.edges[sender, receiver]["kinds"] |= kinds
            else:
                graph.add_edge(sender, receiver, kinds=kinds, distance=length)
        return graph
