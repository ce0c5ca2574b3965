"""Contracts that every head keeps, in a model together with its encoder."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gnnlib.seeding import torch_generator
from gnnlib.testing.encoders import assert_close
from gnnlib.testing.graphs import join_graphs, permute_graph, random_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gnnlib.encoder import GraphModel, Output
    from gnnlib.graphs.schema import GraphLike, GraphTensors

__all__ = [
    "assert_losses_train",
    "assert_output_equivariant",
    "assert_save_load_identity",
    "check_head",
    "output_tensors",
]


def output_tensors(output: Output) -> dict[str, Tensor]:
    """Return the tensor fields of a head's output by name.

    Examples
    --------
    >>> from gnnlib.encoder import Output
    >>> @dataclasses.dataclass
    ... class Scores(Output):
    ...     node: Tensor
    >>> list(output_tensors(Scores(torch.zeros(3))))
    ['node']
    """
    values = {item.name: getattr(output, item.name) for item in dataclasses.fields(output)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


@torch.no_grad()
def assert_output_equivariant(model: GraphModel, *, seed: int = 0, tolerance: float = 1e-5) -> None:
    """Check that a renumbered graph gives renumbered predictions, and a batch those of its graphs.

    A field of the output whose first dimension has one row per node follows the nodes, one row per edge the edges, one
    row per graph the graphs.

    Parameters
    ----------
    model : GraphModel
        Encoder and head.
    seed : int >= 0, default 0
        Seed of graphs and permutations.
    tolerance : float, default 1e-5
        Allowed deviation, relative to the largest entry.
    """
    graph = random_graph(model.head.spec, 9, 23, seed=seed)
    generator = torch_generator(seed)
    nodes, edges = torch.randperm(9, generator=generator), torch.randperm(23, generator=generator)
    before, after = output_tensors(model(graph)), output_tensors(model(permute_graph(graph, nodes, edges)))
    order = {9: nodes, 23: edges}
    for name, value in before.items():
        expected = value[order[value.shape[0]]] if value.dim() and value.shape[0] in order else value
        assert_close(after[name], expected, f"output `{name}` after a permutation", tolerance)

    other = random_graph(model.head.spec, 6, 13, seed=seed + 1)
    second, together = output_tensors(model(other)), output_tensors(model(join_graphs([graph, other])))
    rows = {(9, 6), (23, 13), (1, 1)}
    for name, value in before.items():
        if value.dim() and (value.shape[0], second[name].shape[0]) in rows:
            assert_close(together[name], torch.cat([value, second[name]]), f"output `{name}` of a batch", tolerance)


def assert_losses_train(model: GraphModel, graph: GraphLike) -> None:
    """Check that the losses are finite named scalars and that every parameter of the head gets a finite gradient.

    Parameters
    ----------
    model : GraphModel
        Encoder and head; gradients are not accumulated on it.
    graph : GraphLike
        A graph that carries the head's labels.
    """
    losses = model.losses(model(graph), graph)
    if not losses or not all(isinstance(name, str) for name in losses):
        raise AssertionError(f"`losses` must return a dict of named losses, found {losses!r}")
    for name, loss in losses.items():
        if loss.dim() or not bool(torch.isfinite(loss)):
            raise AssertionError(f"loss `{name}` must be a finite scalar, found {loss}")
    named = [(name, value) for name, value in model.head.named_parameters() if value.requires_grad]
    total = torch.stack(list(losses.values())).sum()
    for (name, _), gradient in zip(
        named, torch.autograd.grad(total, [value for _, value in named], allow_unused=True), strict=True
    ):
        if gradient is None or not bool(torch.isfinite(gradient).all()):
            raise AssertionError(
                f"parameter `{name}` of the head gets {'no' if gradient is None else 'a non-finite'} gradient"
            )


@torch.no_grad()
def assert_save_load_identity(model: GraphModel, *, seed: int = 0) -> None:
    """Check that a saved and loaded model predicts exactly what the original predicts.

    Parameters
    ----------
    model : GraphModel
        Encoder and head; the class of the head must be importable.
    seed : int >= 0, default 0
        Seed of the graph.
    """
    graph = random_graph(model.head.spec, 9, 23, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        loaded = type(model).load(Path(folder) / "model")
    loaded.train(model.training)
    before, after = output_tensors(model(graph)), output_tensors(loaded(graph))
    if before.keys() != after.keys():
        raise AssertionError(f"the loaded model has the outputs {list(after)} instead of {list(before)}")
    for name, value in before.items():
        if not torch.equal(after[name], value):
            raise AssertionError(f"output `{name}` of the loaded model differs")


def check_head(
    make_model: Callable[[], GraphModel], labelled: Sequence[GraphLike] = (), *, seed: int = 0
) -> dict[str, bool]:
    """Put a head through all contract checks.

    Parameters
    ----------
    make_model : callable () -> GraphModel
        Builds a fresh model, on the CPU in single precision.
    labelled : sequence of GraphLike
        Graphs that carry the head's labels; without any, the losses are not tried.
    seed : int >= 0, default 0
        Seed of the random graphs.

    Returns
    -------
    dict of str to bool
        For each check whether it was made.

    Raises
    ------
    AssertionError
        If a contract is broken.

    Examples
    --------
    >>> from gnnlib.encoder import Encoder, GraphModel, Head
    >>> from gnnlib.graphs.schema import GraphSpec
    >>> from gnnlib.testing.toy import NodeValueHead
    >>> spec = GraphSpec("toy", node_dim=2, edge_dim=1)
    >>> make = lambda: GraphModel(Encoder([spec], width=16, depth=2), NodeValueHead(spec, width=16))
    >>> check_head(make)
    {'equivariance': True, 'save and load': True, 'empty graphs': True, 'losses': False}
    """
    model = make_model().eval()
    assert_output_equivariant(model, seed=seed)
    assert_save_load_identity(model, seed=seed)
    for num_nodes in (3, 0):
        graph: GraphTensors = random_graph(model.head.spec, num_nodes, 0, seed=seed)
        for name, value in output_tensors(model(graph)).items():
            if not bool(torch.isfinite(value).all()):
                raise AssertionError(f"output `{name}` of a graph of {num_nodes} nodes and no edges is not finite")
    for example in labelled:
        assert_losses_train(make_model(), example)
    return {"equivariance": True, "save and load": True, "empty graphs": True, "losses": bool(labelled)}
