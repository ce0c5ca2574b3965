"""Metrics of secondary structure: Q3, Q8 and segment overlap."""

from __future__ import annotations

import itertools

from gnnlib.errors import InputError
from gnnlib.heads.protein.dssp import to_states3

__all__ = ["q3", "q8", "sov"]


def _checked(predicted: str, true: str) -> list[tuple[str, str]]:
    if len(predicted) != len(true):
        raise InputError(f"`predicted` and `true` must have one length, found {len(predicted)} and {len(true)}")
    known = [(a, b) for a, b in zip(predicted, true, strict=True) if b != "-"]
    if not known:
        raise InputError("`true` must hold at least 1 assigned residue, found none")
    return known


def q8(predicted: str, true: str) -> float:
    """Share of residues with the right one of eight states.

    Parameters
    ----------
    predicted, true : str of length L
        Letters HBEGITSC; P counts as C. ``-`` in `true` means not assigned: left out.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> q8("HHGC", "HHHC")
    0.75
    """
    known = _checked(predicted, true)
    return sum(a.replace("P", "C") == b.replace("P", "C") for a, b in known) / len(known)


def q3(predicted: str, true: str) -> float:
    """Share of residues with the right one of three states, H (H, G, I), E (E, B) or C.

    Parameters
    ----------
    predicted, true : str of length L
        Letters of eight or of three states. ``-`` in `true` means not assigned: left out.

    Examples
    --------
    >>> q3("HHGC", "HHHC")
    1.0
    """
    known = _checked(predicted, true)
    return sum(to_states3(a) == to_states3(b) for a, b in known) / len(known)


def _segments(states: str) -> list[tuple[str, int, int]]:
    """Split into runs of equal letters, (letter, first, last)."""
    found, place = [], 0
    for letter, run in itertools.groupby(states):
        length = len(list(run))
        found.append((letter, place, place + length - 1))
        place += length
    return found


def sov(predicted: str, true: str, *, state: str | None = None) -> float:
    """Segment overlap of three-state assignments, SOV'99.

    Parameters
    ----------
    predicted, true : str of length L
        Letters of eight or of three states; reduced to three first.
    state : str, optional
        ``"H"``, ``"E"`` or ``"C"``: only segments of this state. Default all three.

    Returns
    -------
    float
        In [0, 1]; NaN when `true` has no segment of that state.

    Raises
    ------
    InputError
        If the lengths differ or the state is unknown.

    References
    ----------
    A. Zemla, C. Venclovas, K. Fidelis and B. Rost, Proteins 34, 220 (1999), eq. 1-3.

    Examples
    --------
    >>> sov("CCHHHHCC", "CCHHHHCC"), round(sov("CCHCHCHC", "CCHHHHHC", state="H"), 3)
    (1.0, 0.2)
    """
    _checked(predicted, true)
    if state is not None and state not in tuple("HEC"):
        raise InputError(f"`state` must be H, E, C or None, found {state!r}")
    theirs, mine = _segments(to_states3(true)), _segments(to_states3(predicted))
    weight, total = 0, 0.0
    for letter, first, last in theirs:
        if state is not None and letter != state:
            continue
        length = last - first + 1
        over = [(a, b) for other, a, b in mine if other == letter and a <= last and b >= first]
        weight += length * max(1, len(over))
        total += sum(_overlap(first, last, a, b) * length for a, b in over)
    return total / weight if weight else float("nan")


def _overlap(first: int, last: int, a: int, b: int) -> float:
    """(shared + allowance) / spanned length of two overlapping segments (eq. 1 and 3)."""
    shared = min(last, b) - max(first, a) + 1
    spanned = max(last, b) - min(first, a) + 1
    allowance = min(spanned - shared, shared, (last - first + 1) // 2, (b - a + 1) // 2)
    return (shared + allowance) / spanned
