"""A pipeline and the table it is for as one graph: six pieces in their order, and the table that speaks with each.

Data flows from piece to piece; backward edges let the estimator tell what it needs. Graphs of a batch all have the same
shape, so that a batch is made by indexing alone.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.heads.automl.pieces import PIECES, SLOTS, piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.automl.pieces import Slot
    from gnnlib.heads.automl.pipelines import Pipeline, Step
    from gnnlib.heads.automl.synthesis_language import Edit
    from gnnlib.typing import FloatArray

__all__ = ["NODE_FEATURES", "PIPELINE_SPEC", "PipelineGraph", "edit_design", "pipeline_graph", "sentence_features"]

NODE_FEATURES = 112
FLOW, BACK, TELL, ASK = range(4)
"""Types of edges: to the next piece, to the one before, from the table to a piece, from a piece to the table."""

PIPELINE_SPEC = GraphSpec("pipelines", node_dim=NODE_FEATURES, edge_dim=0, node_types=2, edge_types=4)
"""Node type 0 is a piece, type 1 the table; each graph has seven nodes, of which the first is the table."""

_ALIASES = {"lightgbm": "hgb"}
"""Pieces that do the same in other software."""

NODES = len(SLOTS) + 1


@functools.cache
def words() -> dict[tuple[str, str], int]:
    """Return the place of every (slot, piece) among the features of a node and the outputs of the policy."""
    pairs = dict.fromkeys((item.slot, item.name) for item in PIECES if item.name not in _ALIASES)
    return {pair: place for place, pair in enumerate(pairs)}


@functools.cache
def values() -> dict[str, int]:
    """Return the place of every hyper-parameter; those of one name share it."""
    names = dict.fromkeys(name for item in PIECES for name in item.parameters)
    return {name: place for place, name in enumerate(names)}


def policy_size() -> int:
    """Return the length of the vector that scores edits: a number a piece, three a hyper-parameter."""
    return len(words()) + 3 * len(values())


def word_of(slot: Slot, name: str) -> int:
    """Return the place of a piece."""
    return words()[slot, _ALIASES.get(name, name)]


@functools.lru_cache(maxsize=4096)
def sentence_features(pipeline: Pipeline | None) -> FloatArray:
    """Return what the six pieces look like, array [6, 112]: slot, piece, values in [-1, 1].

    Parameters
    ----------
    pipeline : Pipeline or None
        None is the empty sentence: no piece in any slot.

    Returns
    -------
    array
        Shared by all who ask: not to be written to.
    """
    found = np.zeros((len(SLOTS), NODE_FEATURES))
    start = len(words())
    for row, slot in enumerate(SLOTS):
        found[row, start + len(values()) + row] = 1.0
        if pipeline is None:
            continue
        step: Step = getattr(pipeline, slot)
        found[row, word_of(slot, step.name)] = 1.0
        known = piece(pipeline.task, slot, step.name).parameters
        for key, value in step.params.items():
            found[row, start + values()[key]] = 2.0 * known[key][0].to_unit(value) - 1.0
    found.flags.writeable = False
    return found


def edit_design(edits: Sequence[Edit], pipeline_task: str) -> FloatArray:
    """Return how the score of each edit is read off the policy's vector, array [A, `policy_size`].

    The score of a piece is a number; that of a value ``u`` in [-1, 1] is a parabola in ``u``.
    """
    design = np.zeros((len(edits), policy_size()))
    for row, edit in enumerate(edits):
        if not edit.parameter:
            design[row, word_of(edit.slot, edit.piece)] = 1.0
            continue
        task = "classification" if pipeline_task == "classification" else "regression"
        parameter = piece(task, edit.slot, edit.piece).parameters[edit.parameter][0]  # type: ignore[arg-type]
        unit = 2.0 * parameter.to_unit(edit.value) - 1.0
        start = len(words()) + 3 * values()[edit.parameter]
        design[row, start : start + 3] = 1.0, unit, unit * unit
    return design


@dataclass
class PipelineGraph(GraphTensors):
    """A batch of graphs with what the head learns from.

    Attributes
    ----------
    design : Tensor [A, K], optional
        See `edit_design`.
    value : Tensor [B], optional
        Score of each pipeline on its table, 0 for the worst known and 1 for the best; NaN for the empty sentence.
    policy : Tensor [B, A], optional
        Share of each edit in what should be done next; rows of zeros are left out.
    legal : Tensor [B, A], bool, optional
    tables : int
        The batch holds as many sentences of each of so many tables, table after table.
    """

    design: Tensor | None = None
    value: Tensor | None = None
    policy: Tensor | None = None
    legal: Tensor | None = None
    tables: int = 1

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        moved = super().to(device, dtype)
        moved.design = None if self.design is None else self.design.to(device, dtype)
        moved.value = None if self.value is None else self.value.to(device, dtype)
        moved.policy = None if self.policy is None else self.policy.to(device, dtype)
        moved.legal = None if self.legal is None else self.legal.to(device)
        moved.tables = self.tables
        return moved


def pipeline_graph(sentences: FloatArray, tables: FloatArray) -> PipelineGraph:
    """Build a batch.

    Parameters
    ----------
    sentences : array [B, 6, 112]
        Of `sentence_features`.
    tables : array [B, F]
        What each table looks like, F at most 112.

    Raises
    ------
    InputError
        If the shapes do not fit.

    Examples
    --------
    >>> graph = pipeline_graph(sentence_features(None)[None].repeat(2, axis=0), np.zeros((2, 5)))
    >>> graph.num_graphs, graph.num_nodes, graph.num_edges
    (2, 14, 44)
    """
    count = len(sentences)
    if sentences.shape[1:] != (len(SLOTS), NODE_FEATURES) or tables.ndim != 2 or len(tables) != count:
        raise InputError(
            f"needs [{count}, 6, {NODE_FEATURES}] and [{count}, F], found {sentences.shape}, {tables.shape}"
        )
    if tables.shape[1] > NODE_FEATURES:
        raise InputError(f"a table has at most {NODE_FEATURES} features, found {tables.shape[1]}")
    node = np.zeros((count, NODES, NODE_FEATURES), dtype=np.float32)
    node[:, 0, : tables.shape[1]] = tables
    node[:, 1:] = sentences
    index, kinds = _wiring()
    start = NODES * np.arange(count)
    edges = (index[:, None] + start[None, :, None]).reshape(2, -1)
    return PipelineGraph(
        torch.from_numpy(node.reshape(-1, NODE_FEATURES)),
        torch.as_tensor(edges, dtype=torch.int64),
        None,
        node_type=torch.as_tensor(np.tile(np.arange(NODES) == 0, count), dtype=torch.int64),
        edge_type=torch.as_tensor(np.tile(kinds, count), dtype=torch.int64),
        batch=torch.as_tensor(np.repeat(np.arange(count), NODES), dtype=torch.int64),
    )


@functools.cache
def _wiring() -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    pieces = np.arange(1, NODES)
    table = np.zeros_like(pieces)
    pairs = ((pieces[:-1], pieces[1:]), (pieces[1:], pieces[:-1]), (table, pieces), (pieces, table))
    index = np.concatenate([np.stack(pair) for pair in pairs], axis=1)
    return index, np.repeat([FLOW, BACK, TELL, ASK], [len(pair[0]) for pair in pairs])
