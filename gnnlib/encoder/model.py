"""Encoder and head together: what is trained, saved and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from torch import Tensor, nn

from gnnlib.encoder.head import Head, Output
from gnnlib.encoder.pretrained import Card, load_model, save_model
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.encoder.encoder import Encoder
    from gnnlib.graphs.schema import GraphLike
    from gnnlib.typing import PathLike

__all__ = ["GraphModel"]


class GraphModel(nn.Module):
    """A graph encoder, a head that reads it, and the card that says where the weights come from.

    Parameters
    ----------
    encoder : Encoder
        Must know ``head.spec``.
    head : Head
        Reads the embedding.
    card : Card, optional
        Origin and measured quality of the weights.

    Raises
    ------
    InputError
        If the encoder does not know the head's spec, or knows another one under its name.

    Examples
    --------
    >>> import torch
    >>> from dataclasses import dataclass
    >>> from gnnlib.encoder import Encoder
    >>> from gnnlib.graphs.schema import GraphSpec, GraphTensors
    >>> @dataclass
    ... class Scores(Output):
    ...     score: Tensor
    >>> class NodeHead(Head):
    ...     spec = GraphSpec("toy", node_dim=2, edge_dim=1)
    ...
    ...     def __init__(self, width: int) -> None:
    ...         super().__init__()
    ...         self.read = nn.Linear(width, 1)
    ...
    ...     def forward(self, embedding, graph):
    ...         return Scores(self.read(embedding.node).squeeze(-1))
    ...
    ...     def losses(self, output, graph):
    ...         return {"size": output.score.square().mean()}
    >>> model = GraphModel(Encoder([NodeHead.spec], width=16, depth=2), NodeHead(16))
    >>> graph = GraphTensors(torch.randn(3, 2), torch.tensor([[0, 1], [1, 2]]), torch.randn(2, 1))
    >>> model(graph).score.shape
    torch.Size([3])
    """

    def __init__(self, encoder: Encoder, head: Head, card: Card | None = None) -> None:
        super().__init__()
        known = encoder.specs.get(head.spec.name)
        if known != head.spec:
            raise InputError(
                f"the encoder must know the head's {head.spec}; under that name it has {known} (specs: {list(encoder.specs)})"
            )
        self.encoder = encoder
        self.head = head
        self.card = card

    def forward(self, graph: GraphLike) -> Output:
        """Encode `graph` and read the head's predictions off the embedding."""
        output = self.head(self.encoder(graph, self.head.spec.name), graph)
        if not isinstance(output, Output):
            raise InputError(f"{type(self.head).__name__}.forward must return an Output, found {type(output).__name__}")
        return output

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return the head's named losses."""
        return self.head.losses(output, graph)

    def save(self, path: PathLike) -> None:
        """Write ``<path>.safetensors`` and the card ``<path>.json``.

        Raises
        ------
        WeightsError
            If the head's configuration cannot be written as JSON.
        """
        self.card = save_model(path, self.encoder, self.head, self.card)

    @classmethod
    def load(cls, path: PathLike, head: Head | None = None) -> Self:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : path-like
            With or without the suffix ``.safetensors``.
        head : Head, optional
            The head to fill; by default the card names its class and configuration. Needed when that class lives in a
            module that is neither part of gnnlib nor imported already.

        Raises
        ------
        WeightsError
            If a file is missing or damaged, or does not fit the head.
        """
        return cls(*load_model(path, head))
