"""What a head is: it reads an embedding, and names its losses."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor, nn

if TYPE_CHECKING:
    from gnnlib.encoder.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike, GraphSpec

__all__ = ["Head", "Output"]


@dataclass
class Output:
    """Base class of what heads return: a dataclass of tensors, one field per prediction.

    Examples
    --------
    >>> import torch
    >>> @dataclass
    ... class EdgeScores(Output):
    ...     logit: Tensor
    >>> EdgeScores(torch.zeros(4)).logit.shape
    torch.Size([4])
    """


class Head(nn.Module, ABC):
    """Base class of the heads: a module that reads the embedding of one domain.

    A subclass sets `spec`, and implements `forward` and `losses`. The arguments of its constructor are remembered, so
    that a stored model can be rebuilt; override `config` when they are not plain values.

    Attributes
    ----------
    spec : GraphSpec
        The domain whose graphs the head reads; the encoder must know it.

    Examples
    --------
    >>> import torch
    >>> from gnnlib.graphs.schema import GraphSpec
    >>> @dataclass
    ... class NodeScores(Output):
    ...     score: Tensor
    >>> class NodeHead(Head):
    ...     def __init__(self, width: int) -> None:
    ...         super().__init__()
    ...         self.spec = GraphSpec("toy", node_dim=1, edge_dim=0)
    ...         self.read = nn.Linear(width, 1)
    ...
    ...     def forward(self, embedding, graph):
    ...         return NodeScores(self.read(embedding.node).squeeze(-1))
    ...
    ...     def losses(self, output, graph):
    ...         return {"square": (output.score - graph.y).square().mean()}
    >>> NodeHead(8).config()
    {'width': 8}
    """

    spec: GraphSpec
    _arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remember the constructor's arguments for `config`."""
        head = super().__new__(cls)
        object.__setattr__(head, "_arguments", _bound_arguments(cls, args, kwargs))
        return head

    @abstractmethod
    def forward(self, embedding: Embedding, graph: GraphLike) -> Output:
        """Read predictions off the embedding.

        Parameters
        ----------
        embedding : Embedding
            Node [N, W], edge [E, W] (in the order of ``graph.edge_index``) and graph [B, W] vectors.
        graph : GraphLike
            The graph that was encoded.
        """

    @abstractmethod
    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return the named scalar losses of `output` against the labels that `graph` carries."""

    def config(self) -> dict[str, Any]:
        """Return keyword arguments that rebuild this head: plain values, sequences of them, or a `GraphSpec`."""
        return dict(self._arguments)


def _bound_arguments(cls: type[Head], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    # copy and pickle create the object without arguments and restore its attributes; a call that does not fit the
    # signature fails in the constructor right after this, with Python's own message
    try:
        bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs)
    except TypeError:
        return {}
    return dict(list(bound.arguments.items())[1:])
