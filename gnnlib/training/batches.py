"""Where batches come from: graphs that are collated here, or batches that the caller hands over ready."""

from __future__ import annotations

import itertools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.training.distributed import World, split_batch

if TYPE_CHECKING:
    from gnnlib.training.config import FitConfig

__all__ = ["BatchSource", "Batches", "batch_source", "move_to", "reseed"]

Batches = Sequence[Any] | Iterable[Any] | Callable[[int], Iterable[Any]]
"""Graphs to be batched, ready batches, or a function of the epoch's number (from 1) that gives ready batches."""


class BatchSource(ABC):
    """One epoch of batches after another.

    Attributes
    ----------
    num_batches : int or None
        Batches of an epoch; None when only the data know.
    """

    num_batches: int | None

    @abstractmethod
    def epoch(self, number: int, skip: int, total_skip: int) -> Iterator[tuple[Any, float]]:
        """Yield the batches of one epoch with the number of graphs in each.

        Parameters
        ----------
        number : int >= 1
            Number of the epoch.
        skip : int >= 0
            Batches of this epoch that a resumed run has seen already.
        total_skip : int >= 0
            Batches of all epochs that it has seen, if it has just been resumed, else 0.
        """


class CollatedGraphs(BatchSource):
    """A sequence of PyG graphs, shuffled and collated; all processes walk through the same order."""

    def __init__(self, graphs: Sequence[Any], config: FitConfig, seed: int, world: World, *, is_training: bool) -> None:
        self.graphs, self.config, self.seed, self.world = graphs, config, seed, world
        self.is_shuffled = config.shuffle and is_training
        self.num_batches = -(-len(graphs) // (config.batch_size * world.size))
        if is_training and config.steps_per_epoch is not None:
            self.num_batches = min(self.num_batches, config.steps_per_epoch)

    def epoch(self, number: int, skip: int, total_skip: int) -> Iterator[tuple[Any, float]]:  # noqa: ARG002
        """Yield this process's share of each batch."""
        from torch_geometric.loader import DataLoader  # two seconds, and only needed here

        order = np.arange(len(self.graphs))
        if self.is_shuffled:
            order = numpy_generator(np.random.SeedSequence([self.seed, number])).permutation(len(self.graphs))
        width = self.config.batch_size * self.world.size
        batches = [order[start : start + width].tolist() for start in range(0, len(order), width)]
        shares = [split_batch(batch, self.world) for batch in batches[skip : self.num_batches]]
        loader = DataLoader(
            self.graphs,
            batch_sampler=[indices for indices, _ in shares],
            num_workers=self.config.num_workers,
        )
        return zip(loader, (weight for _, weight in shares), strict=True)


class ReadyBatches(BatchSource):
    """Batches that the caller made; every process is to bring its own, equally many."""

    def __init__(self, data: Iterable[Any] | Callable[[int], Iterable[Any]], config: FitConfig, seed: int) -> None:
        self.data, self.seed = data, seed
        self.limit = config.steps_per_epoch
        self.is_one_shot = isinstance(data, Iterator)
        length = len(data) if isinstance(data, Sized) else None
        self.num_batches = self.limit if length is None else min(length, self.limit or length)

    def epoch(self, number: int, skip: int, total_skip: int) -> Iterator[tuple[Any, float]]:
        """Yield the batches as they come."""
        if isinstance(self.data, Iterator):
            batches = itertools.islice(self.data, total_skip, None)
        else:
            # a loader may draw its order from torch's generator at this moment: the same order for the same epoch
            reseed(self.seed, number)
            made = self.data(number) if callable(self.data) else self.data
            batches = itertools.islice(iter(made), skip, None)
        left = None if self.limit is None else self.limit - skip
        for batch in itertools.islice(batches, left):
            count = getattr(batch, "num_graphs", 1)
            yield batch, float(count) if isinstance(count, int) else 1.0


def batch_source(
    data: Batches, config: FitConfig, *, seed: int, world: World, is_training: bool, name: str
) -> BatchSource:
    """Find out what the caller gave as `train` or `val`.

    A sequence of PyG ``Data`` or ``HeteroData`` is batched by PyG; everything else gives ready batches.

    Raises
    ------
    InputError
        If `data` is empty or gives nothing to iterate over.
    """
    if isinstance(data, Sized) and len(data) == 0:
        raise InputError(f"`{name}` must hold at least one graph or batch, found none")
    if isinstance(data, Sized) and hasattr(data, "__getitem__"):
        graphs: Any = data
        if _is_pyg_graph(graphs[0]):
            return CollatedGraphs(graphs, config, seed, world, is_training=is_training)
    elif not callable(data) and not isinstance(data, Iterable):
        raise InputError(
            f"`{name}` must be a sequence of graphs, an iterable of batches, or a function of the epoch that returns "
            f"one; found {type(data).__name__}"
        )
    if not is_training:
        if isinstance(data, Iterator):
            raise InputError(
                f"`{name}` is read every epoch, but an iterator can be read once; pass a list or a function"
            )
        config = replace(config, steps_per_epoch=None)
    return ReadyBatches(data, config, seed)


def _is_pyg_graph(item: Any) -> bool:
    """Tell a PyG graph from a ready batch without importing PyG: where it is not imported, there is no graph of it."""
    data = sys.modules.get("torch_geometric.data")
    return data is not None and isinstance(item, data.Data | data.HeteroData) and not isinstance(item, data.Batch)


def move_to(batch: Any, device: torch.device) -> Any:
    """Return a batch on `device`: anything with a method ``to``, and tuples, lists and dicts of such things."""
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: move_to(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(move_to(value, device) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(move_to(value, device) for value in batch)
    return batch


def reseed(*words: int) -> None:
    """Set torch's generators of the CPU and the current GPU from some numbers (inside a fork of their state)."""
    word = spawn_seeds(np.random.SeedSequence(words), 1)[0]
    torch.default_generator.manual_seed(word)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(word)
