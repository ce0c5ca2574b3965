"""What a search and its caller say to each other, and the checks at that door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gnnlib.errors import InputError
from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray

__all__ = ["RecurrentFn", "RecurrentOutput", "RootOutput", "as_legal", "as_real", "as_states", "masked_softmax"]


class RootOutput(NamedTuple):
    """Where a search begins: B states, already evaluated.

    Attributes
    ----------
    prior_logits : array [B, A]
        Unnormalised log-probabilities of the actions; minus infinity marks an illegal one.
    value : array [B]
        Expected return from the view of whoever acts.
    embedding : sequence of B states
        Anything that ``embedding[i]`` picks a state from: a list of positions, an array or a tensor [B, ...].
    legal : bool array [B, A], optional
        Which actions are allowed; all of them when absent.
    """

    prior_logits: ArrayLike
    value: ArrayLike
    embedding: Sequence[Any]
    legal: ArrayLike | None = None


class RecurrentOutput(NamedTuple):
    """What n steps lead to.

    Attributes
    ----------
    reward : array [n]
        Reward of the step, from the view of whoever took it.
    discount : array [n]
        What the value of the next state counts for whoever took the step: in [0, 1] for one agent, -1 where the
        opponent acts next, and 0 at the end of an episode, below which the search never goes.
    prior_logits : array [n, A]
        As in `RootOutput`, of the next state.
    value : array [n]
        As in `RootOutput`, of the next state; ignored where `discount` is 0.
    embedding : sequence of n states
        The next states.
    legal : bool array [n, A], optional
        Which actions the next state allows. A state that allows none is an end as well, worth `value`.
    """

    reward: ArrayLike
    discount: ArrayLike
    prior_logits: ArrayLike
    value: ArrayLike
    embedding: Sequence[Any]
    legal: ArrayLike | None = None


RecurrentFn = Callable[[list[Any], IntArray], RecurrentOutput]
"""Takes n states (a list of embeddings) and n actions (int array [n]), returns a `RecurrentOutput`."""


def as_real(array: ArrayLike, name: str, shape: tuple[int | None, ...], *, is_logit: bool = False) -> FloatArray:
    """Return a float array of the wanted shape; logits may be minus infinity, nothing else may be infinite or NaN."""
    result = np.asarray(array, dtype=np.float64)
    if result.ndim != len(shape) or any(
        want not in (None, size) for want, size in zip(shape, result.shape, strict=True)
    ):
        wanted = ["any" if size is None else size for size in shape]
        raise InputError(f"{name} must have shape {wanted}, found {list(result.shape)}")
    bad = ~(np.isfinite(result) | (result == -np.inf)) if is_logit else ~np.isfinite(result)
    if bad.any():
        first = tuple(np.argwhere(bad)[0].tolist())
        raise InputError(f"{name} must be finite, found {result[first]} at index {first}")
    return result


def as_legal(legal: ArrayLike | None, logits: FloatArray, source: str) -> BoolArray:
    """Return the mask of legal actions [n, A]: what the caller allows and the logits do not exclude."""
    possible = logits > -np.inf
    if legal is None:
        return possible
    mask = np.asarray(legal)
    if mask.shape != logits.shape or mask.dtype != np.bool_:
        raise InputError(
            f"legal in {source} must be a bool array of shape {list(logits.shape)}, "
            f"found {mask.dtype} {list(mask.shape)}"
        )
    return possible & mask


def as_states(embedding: Sequence[Any], count: int, source: str) -> list[Any]:
    """Return the states one by one."""
    if len(embedding) != count:
        raise InputError(f"embedding in {source} must hold {count} states, found {len(embedding)}")
    return [embedding[index] for index in range(count)]


def masked_softmax(logits: FloatArray, legal: BoolArray) -> FloatArray:
    """Return probabilities over the legal actions; rows without any are 0."""
    masked = np.where(legal, logits, -np.inf)
    top = masked.max(axis=1, keepdims=True)
    weight = np.exp(masked - np.where(top > -np.inf, top, 0.0))
    total = weight.sum(axis=1, keepdims=True)
    return weight / np.where(total > 0, total, 1.0)
