"""Compiled inner loops of the gated mixer on the CPU.

What tensor operations do in a dozen passes over edge-sized arrays happens here in one: an edge's row stays in the
processor's first cache from the gather of its sender to the sum into its receiver.

Every kernel begins with ``part, first, last, base``: it works on rows ``first`` to ``last``, as thread number ``part``;
arrays marked "run" hold the edges of the current run only, the first of which has the number ``base``. Kernels release
the interpreter lock and write rows of their own only (`mix_backward` adds into its thread's ``grad_node``).

Where an index is a sum, channels are counted by unsigned numbers: a signed one might be negative, and the check for that
would keep the loop from being vectorised.
"""

# ruff: noqa: PLR0913, ARG001 (kernels take arrays one by one, and all begin with the same four arguments)
from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, overload

from gnnlib.encoder.mixing import LIMIT

__all__ = [
    "counting_order",
    "mix_backward",
    "mix_forward",
    "normalise_again",
    "normalise_backward",
    "normalise_forward",
]

# everything that lets loops be vectorised, except pretending that there are no infinities and NaN
_FAST = {"contract", "reassoc", "nsz", "arcp"}

LINE_BYTES = 64
"""Length of a cache line."""

AHEAD = 8
"""Rows of senders are asked for so many edges before they are needed: they lie anywhere, and memory is slow to answer."""

_compiled = nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)


@intrinsic
def _float_of_bits(typing_context: Any, bits: Any) -> Any:
    """Read an int32 as the float32 with the same bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def _fetch(typing_context: Any, array: Any, offset: Any) -> Any:
    """Ask the processor for the cache line that holds the element at a flat offset."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(start, [args[1]]), ir.PointerType())
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [ir.PointerType()], kind)
        builder.call(prefetch, [place, word(0), word(3), word(1)])  # to read, into the first cache, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def _prefetch(array: Any, start: int, length: int) -> None:
    """Begin to load `length` elements of an array from a flat offset on; changes nothing but the time."""


@overload(_prefetch, inline="always")
def _prefetch_lines(array: Any, start: Any, length: Any) -> Any:
    def prefetch(array: Any, start: Any, length: Any) -> None:
        for line in range(0, length, LINE_BYTES // array.itemsize):
            _fetch(array, start + line)

    return prefetch


def _exp(x: float) -> float:
    return math.exp(x)


@overload(_exp, inline="always")
def _exp_of_type(x: Any) -> Any:
    """Exponential that vectorises in single precision; |x| must stay below 87.

    x = n ln 2 + r with |r| <= ln(2) / 2: the Taylor polynomial of degree 6 in r is exact to 1.2e-7 relative, and 2^n is
    written straight into the exponent bits.
    """

    def exp_double(x: Any) -> Any:
        return math.exp(x)

    if x != types.float32:
        return exp_double
    one, half = np.float32(1), np.float32(0.5)
    c3, c4, c5, c6 = (np.float32(1 / math.factorial(power)) for power in range(3, 7))
    log2_e, ln_2 = np.float32(1 / math.log(2)), np.float32(math.log(2))
    bias, shift = np.int32(127), np.int32(23)

    def exp_single(x: Any) -> Any:
        n = np.floor(x * log2_e + half)
        r = x - n * ln_2
        p = one + r * (one + r * (half + r * (c3 + r * (c4 + r * (c5 + r * c6)))))
        return p * _float_of_bits((np.int32(n) + bias) << shift)

    return exp_single


@_compiled
def normalise_forward(
    part: int, first: int, last: int, base: int, edge: Any, eps: float, unit: Any, mean: Any, scale: Any
) -> None:
    """LayerNorm of edges without affine: unit = (edge - mean) * scale.

    Parameters
    ----------
    part, first, last, base : int
        See the module; the rows are edges.
    edge : array [E, D]
        Edge states.
    eps : float
        Added to the variance.
    unit : array [run, D]
        Receives the normalised states.
    mean, scale : array [E]
        Receive the statistics.
    """
    width = edge.shape[1]
    one, none, small = edge.dtype.type(1), edge.dtype.type(0), edge.dtype.type(eps)
    share = one / edge.dtype.type(width)
    for e in range(first, last):
        row, out = edge[e], unit[e - base]
        total = none
        for d in range(width):
            total += row[d]
        centre = total * share
        total = none
        for d in range(width):
            away = row[d] - centre
            total += away * away
        factor = one / np.sqrt(total * share + small)
        for d in range(width):
            out[d] = (row[d] - centre) * factor
        mean[e], scale[e] = centre, factor


@_compiled
def normalise_again(part: int, first: int, last: int, base: int, edge: Any, unit: Any, mean: Any, scale: Any) -> None:
    """Repeat `normalise_forward` with the statistics it found."""
    width = edge.shape[1]
    for e in range(first, last):
        row, out, centre, factor = edge[e], unit[e - base], mean[e], scale[e]
        for d in range(width):
            out[d] = (row[d] - centre) * factor


@_compiled
def normalise_backward(
    part: int, first: int, last: int, base: int, unit: Any, scale: Any, grad_unit: Any, grad_out: Any, grad_edge: Any
) -> None:
    """Gradient through `normalise_forward`, and past it.

    Parameters
    ----------
    part, first, last, base : int
        See the module; the rows are edges.
    unit, grad_unit : array [run, D]
        Normalised states and their gradient.
    scale : array [E]
        As `normalise_forward` left it.
    grad_out : array [E, D]
        Gradient that goes past the norm, on the residual path.
    grad_edge : array [E, D]
        Receives the sum of both gradients.
    """
    width = unit.shape[1]
    none = unit.dtype.type(0)
    share = unit.dtype.type(1) / unit.dtype.type(width)
    for e in range(first, last):
        row, grad, past, out = unit[e - base], grad_unit[e - base], grad_out[e], grad_edge[e]
        total = none
        along = none
        for d in range(width):
            total += grad[d]
            along += grad[d] * row[d]
        total *= share
        along *= share
        factor = scale[e]
        for d in range(width):
            out[d] = past[d] + factor * (grad[d] - total - row[d] * along)


@_compiled
def mix_forward(
    part: int,
    first: int,
    last: int,
    base: int,
    ptr: Any,
    sender: Any,
    node: Any,
    shift: Any,
    z: Any,
    edge: Any,
    out: Any,
    mixed: Any,
    weight: Any,
) -> None:
    """Gate, message, edge update and weighted mean.

    Parameters
    ----------
    part, first, last, base : int
        See the module; the rows are receivers.
    ptr : array [N + 1]
        First edge of each receiver.
    sender : array [E]
        Sending node of each edge.
    node : array [N, 3 D]
        What a node adds to the logits of the edges it receives, to those of the edges it sends, and its value.
    shift : array [D]
        Constant of the logit.
    z : array [run, D]
        Part of the logit that belongs to the edge; becomes the whole logit.
    edge, out : array [E, D]
        Edge states before and after.
    mixed, weight : array [N, D]
        Receive the weighted mean of the messages and the sum of the weights (0 and 1 without edges).
    """
    width = np.uintp(z.shape[1])
    twice = width + width
    one, limit = z.dtype.type(1), z.dtype.type(LIMIT)
    own = np.empty_like(shift)
    end, row, sent = ptr[last], node.shape[1], 2 * z.shape[1]
    for i in range(first, last):
        receiving, top, bottom = node[i], mixed[i], weight[i]
        for d in range(width):
            own[d] = receiving[d] + shift[d]
            top[d] = 0
            bottom[d] = 0
        for e in range(ptr[i], ptr[i + 1]):
            if e + AHEAD < end:
                _prefetch(node, sender[e + AHEAD] * row + z.shape[1], sent)
            other, logit, old, new = node[sender[e]], z[e - base], edge[e], out[e]
            for d in range(width):
                x = logit[d] + own[d] + other[width + d]
                q = _exp(min(max(x, -limit), limit))
                update = x * (q / (one + q))
                logit[d] = x
                new[d] = old[d] + update
                top[d] += q * (other[twice + d] + update)
                bottom[d] += q
        if ptr[i + 1] == ptr[i]:
            for d in range(width):
                bottom[d] = 1
        for d in range(width):
            top[d] /= bottom[d]


@_compiled
def mix_backward(
    part: int,
    first: int,
    last: int,
    base: int,
    ptr: Any,
    sender: Any,
    node: Any,
    z: Any,
    mixed: Any,
    weight: Any,
    grad_mixed: Any,
    grad_out: Any,
    grad_z: Any,
    grad_node: Any,
) -> None:
    """Gradients of `mix_forward`.

    Parameters
    ----------
    part, first, last, base : int
        See the module; the rows are receivers.
    ptr, sender, node, mixed, weight : arrays
        As `mix_forward` had and left them.
    z : array [E, D]
        The whole logits.
    grad_mixed : array [N, D]
        Gradient of ``mixed``.
    grad_out : array [E, D]
        Gradient of ``out``.
    grad_z : array [run, D]
        Receives the gradient of the logits.
    grad_node : array [threads, N, 3 D]
        The gradient of ``node`` is added to the thread's own rows.
    """
    width = np.uintp(mixed.shape[1])
    twice = width + width
    one, limit, none = z.dtype.type(1), z.dtype.type(LIMIT), z.dtype.type(0)
    grad_own = grad_node[part]
    end, row, sent = ptr[last], node.shape[1], 2 * z.shape[1]
    share, heard = np.empty_like(mixed[0]), np.empty_like(mixed[0])
    for i in range(first, last):
        mean, grad_receiving = mixed[i], grad_own[i]
        for d in range(width):
            share[d] = grad_mixed[i, d] / weight[i, d]
            heard[d] = 0
        for e in range(ptr[i], ptr[i + 1]):
            if e + AHEAD < end:
                _prefetch(node, sender[e + AHEAD] * row + z.shape[1], sent)
                _prefetch(grad_own, sender[e + AHEAD] * row + z.shape[1], sent)
            j = sender[e]
            other, grad_other, logit, grad_new, grad = node[j], grad_own[j], z[e], grad_out[e], grad_z[e - base]
            for d in range(width):
                x = logit[d]
                q = _exp(min(max(x, -limit), limit))
                gate = q / (one + q)
                update = x * gate
                weighted = q * share[d]
                through_weight = weighted * (other[twice + d] + update - mean[d])
                if abs(x) > limit:
                    through_weight = none
                slope = through_weight + (weighted + grad_new[d]) * (gate + update * (one - gate))
                grad[d] = slope
                heard[d] += slope
                grad_other[width + d] += slope
                grad_other[twice + d] += weighted
        for d in range(width):
            grad_receiving[d] += heard[d]


@_compiled
def counting_order(key: Any, count: int) -> Any:
    """Return the stable order that sorts ``key`` [E], integers below ``count``; linear in both."""
    place = np.zeros(count + 1, np.int64)
    for e in range(key.shape[0]):
        place[key[e] + 1] += 1
    for i in range(count):
        place[i + 1] += place[i]
    order = np.empty(key.shape[0], np.int64)
    for e in range(key.shape[0]):
        order[place[key[e]]] = e
        place[key[e]] += 1
    return order
