"""Sets of decoys of kinds 1 to 4 from the training chains, made once and kept in a cache."""

from __future__ import annotations

import logging
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein.chains import TrainingChain, load_chains
from gnnlib.heads.protein.training.decoys import (
    Decoy,
    DecoyKind,
    label_decoy,
    map_decoy,
    motion_decoy,
    soft_modes,
    threaded_decoy,
    torsion_decoy,
)
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gnnlib.typing import FloatArray

__all__ = ["DecoyPlan", "make_decoys", "one_decoy"]

_logger = logging.getLogger(__name__)

_KINDS: tuple[DecoyKind, ...] = ("native", "torsion", "map", "motion", "threaded")
_SHARES = (0.04, 0.26, 0.14, 0.46, 0.10)
_SHORTEST, _LONGEST = 30, 350


@dataclass(frozen=True)
class DecoyPlan:
    """How many decoys of which chains.

    Parameters
    ----------
    split : str
        Of `gnnlib.heads.protein.chains.SPLITS`.
    count : int >= 1
    seed : int, default 0

    Raises
    ------
    InputError
        If `count` is not positive.
    """

    split: str
    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"`count` of a DecoyPlan must be at least 1, found {self.count}")


def make_decoys(plan: DecoyPlan, cache: Path | None = None) -> list[Decoy]:
    """Make the decoys of a plan, or read them from the cache.

    Parameters
    ----------
    plan : DecoyPlan
    cache : path, optional
        Folder; default: no cache.

    Returns
    -------
    list of Decoy
        The chains in turn, each with a kind drawn at random.
    """
    path = None if cache is None else cache / f"{plan.split}-{plan.count}-{plan.seed}.npz"
    if path is not None and path.is_file():
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            _logger.warning("%s is damaged and made anew: %s", path, error)
    chains = [chain for atoms in ("backbone", "ca") for chain in _usable(plan.split, atoms)]
    if not chains:
        raise InputError(f"the split {plan.split!r} has no whole chain of {_SHORTEST} to {_LONGEST} residues")
    rng = numpy_generator(plan.seed)
    order = rng.permutation(len(chains))
    decoys = []
    for number in range(plan.count):
        decoys.append(one_decoy(chains[int(order[number % len(chains)])], chains, rng))
        if number % 500 == 499:
            _logger.info("%d of %d decoys of %s", number + 1, plan.count, plan.split)
    if path is not None:
        _write(path, decoys)
    return decoys


def _usable(split: str, atoms: str) -> list[TrainingChain]:
    """Return chains of usual length without a break."""
    chains = load_chains(split, atoms="ca" if atoms == "ca" else "backbone")
    kept = []
    for chain in chains:
        steps = np.linalg.norm(np.diff(chain.ca, axis=0), axis=1)
        if _SHORTEST <= chain.num_residues <= _LONGEST and steps.max() < 4.2 and steps.min() > 2.5:
            kept.append(chain)
    return kept


def one_decoy(chain: TrainingChain, chains: Sequence[TrainingChain], rng: np.random.Generator) -> Decoy:
    """Make one decoy of a chain; `chains` are what it may be threaded on.

    Parameters
    ----------
    chain : TrainingChain
    chains : sequence of TrainingChain
    rng : numpy Generator
    """
    native = chain.ca.astype(np.float64)
    kind = _KINDS[int(rng.choice(len(_KINDS), p=_SHARES))]
    if kind == "threaded":
        others = [c for c in chains if c.cluster != chain.cluster and c.num_residues >= chain.num_residues]
        if others:
            template = others[int(rng.integers(len(others)))].ca.astype(np.float64)
            model = threaded_decoy(chain.num_residues, template, rng)
            return label_decoy(f"{chain.name}/threaded", "threaded", chain.sequence, model, native)
        kind = "torsion"
    model = _disturbed(kind, chain, native, rng)
    return label_decoy(f"{chain.name}/{kind}", kind, chain.sequence, model, native)


def _disturbed(kind: DecoyKind, chain: TrainingChain, native: FloatArray, rng: np.random.Generator) -> FloatArray:
    if kind == "map":
        return map_decoy(native, rng, noise_per_10=float(np.exp(rng.uniform(np.log(0.2), np.log(4.0)))))
    if kind == "torsion":
        backbone = chain.coords_angstrom[:, :3].astype(np.float64)
        local = bool(rng.random() < 0.5 or not np.isfinite(backbone).all())
        if not np.isfinite(backbone).all():
            backbone = np.repeat(native[:, None], 3, axis=1)  # turning about CA needs nothing else
        share = float(rng.uniform(0.02, 0.25) if local else rng.uniform(0.01, 0.1))
        spread = float(rng.uniform(5.0, 60.0) if local else np.exp(rng.uniform(np.log(2.0), np.log(40.0))))
        return torsion_decoy(backbone, rng, share=share, spread_deg=spread, local=local)
    if kind == "motion":
        size = float(np.exp(rng.normal(np.log(0.9), 0.75)))
        model = native
        if rng.random() < 0.7:
            model = motion_decoy(model, rng, rmsd_angstrom=size, modes=soft_modes(native))
        if model is native or rng.random() < 0.5:
            smooth = float(rng.uniform(1.5, 6.0))
            small = float(np.exp(rng.normal(np.log(0.5), 0.5)))
            model = motion_decoy(model, rng, rmsd_angstrom=small, smooth_residues=smooth)
        return model
    return native.copy()


def _write(path: Path, decoys: list[Decoy]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part.npz")
    np.savez(
        draft,
        names=np.array([decoy.name for decoy in decoys]),
        kinds=np.array([decoy.kind for decoy in decoys]),
        sequences=np.array([decoy.sequence for decoy in decoys]),
        ca=np.concatenate([decoy.ca for decoy in decoys]).astype(np.float32),
        lddt=np.concatenate([decoy.lddt for decoy in decoys]).astype(np.float32),
        gdt_ts=np.array([decoy.gdt_ts for decoy in decoys]),
    )
    draft.replace(path)


def _read(path: Path) -> list[Decoy]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        columns = {key: archive[key] for key in archive.files}
    ends = np.cumsum([len(text) for text in columns["sequences"].tolist()])[:-1]
    parts = zip(
        columns["names"].tolist(),
        columns["kinds"].tolist(),
        columns["sequences"].tolist(),
        np.split(columns["ca"].astype(np.float64), ends),
        np.split(columns["lddt"].astype(np.float64), ends),
        columns["gdt_ts"].tolist(),
        strict=True,
    )
    return [Decoy(name, cast("DecoyKind", kind), text, ca, lddt, gdt) for name, kind, text, ca, lddt, gdt in parts]
