"""Fit the chain prior of `reconstruct`: ``python -m gnnlib.heads.protein.training.train_chain_prior --seed 0 --out FILE.json``.

Expectation maximisation (A. P. Dempster, N. M. Laird and D. B. Rubin, J. R. Stat. Soc. B 39, 1, 1977) of a Gaussian
mixture over stretches of five residues of the training chains; nothing of other splits is read but to report the
density on ``val``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.folding.chain_prior import ChainPrior, stretch_features
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["collect", "fit_mixture", "main"]

_BOND_RANGE_ANGSTROM = (3.6, 4.0)
# smallest standard deviation of each feature: sharper peaks than the precision of coordinates are of no use
_SMALLEST_SPREAD = np.array([0.03, 0.03, 0.03, 0.06, 0.06, 0.08, 0.06, 0.06])


def collect(split: str) -> FloatArray:
    """Features of all unbroken stretches with trans bonds of one split [M, 8]."""
    found = []
    for chain in load_chains(split):
        ca = chain.coords_angstrom[:, 1].astype(np.float64)
        if len(ca) < 5:
            continue
        bonds = np.linalg.norm(np.diff(ca, axis=0), axis=1)
        good = (bonds > _BOND_RANGE_ANGSTROM[0]) & (bonds < _BOND_RANGE_ANGSTROM[1])
        found.append(stretch_features(ca)[np.lib.stride_tricks.sliding_window_view(good, 4).all(axis=1)])
    return np.concatenate(found)


def fit_mixture(
    features: FloatArray, components: int, generator: np.random.Generator, rounds: int = 80
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit weights [K], means [K, 8] and covariances [K, 8, 8], largest weight first."""
    weights, means, covariances = _start(features, components, generator)
    before = -np.inf
    for _ in range(rounds):
        prior = ChainPrior.from_mixture(weights, means, covariances)
        terms = _terms(prior, features)
        top = terms.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(terms - top).sum(axis=1))
        share = np.exp(terms - total[:, None])
        mass = share.sum(axis=0)
        weights, means = mass / mass.sum(), (share.T @ features) / mass[:, None]
        for k in range(components):
            off = features - means[k]
            covariances[k] = (share[:, k, None] * off).T @ off / mass[k] + np.diag(_SMALLEST_SPREAD**2)
        if total.mean() - before < 1e-4:
            break
        before = float(total.mean())
    order = np.argsort(-weights)
    return weights[order], means[order], covariances[order]


def _terms(prior: ChainPrior, features: FloatArray) -> FloatArray:
    columns = []
    for offset, mean, precision in zip(prior.offsets, prior.means, prior.precisions, strict=True):
        off = features - mean
        columns.append(offset - 0.5 * np.sum((off @ precision) * off, axis=1))
    return np.stack(columns, axis=1)


def _start(
    features: FloatArray, components: int, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """k-means on features in units of their standard deviation."""
    scale = features.std(axis=0)
    points = features / scale
    centres = points[generator.choice(len(points), components, replace=False)]
    for _ in range(15):
        nearest = np.argmin(np.square(points).sum(1)[:, None] - 2.0 * points @ centres.T + np.square(centres).sum(1), 1)
        for k in range(components):
            if np.sum(nearest == k) > 20:
                centres[k] = points[nearest == k].mean(axis=0)
    weights = np.maximum(np.bincount(nearest, minlength=components), 1.0)
    covariances = np.empty((components, features.shape[1], features.shape[1]))
    for k in range(components):
        chosen = features[nearest == k] if np.sum(nearest == k) > 20 else features
        covariances[k] = np.cov(chosen.T) + np.diag(1e-2 * scale**2)
    return weights / weights.sum(), centres * scale, covariances


def main() -> None:
    """Fit and write the prior with its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--components", type=int, default=16)
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    begin = time.perf_counter()
    generator = numpy_generator(arguments.seed)
    features = collect("train")
    count = len(features)
    chosen = features[generator.choice(count, min(count, arguments.samples), replace=False)]
    weights, means, covariances = fit_mixture(chosen, arguments.components, generator)
    prior = ChainPrior.from_mixture(weights, means, covariances)
    held_out = collect("val")[::7]
    mirrored = held_out * np.array([1, 1, 1, 1, 1, 1, -1, -1])
    card = {
        "name": "protein_chain_prior",
        "purpose": "density of five residues in a row of a C-alpha trace; the chain prior of reconstruct",
        "command": f"python -m gnnlib.heads.protein.training.train_chain_prior --seed {arguments.seed} --out {arguments.out}",
        "data": f"{len(chosen)} of {count} stretches with trans bonds of the split train of chains_backbone.npz",
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - begin, 1),
        "machine": platform.machine(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "metrics": {
            "mean log density (val)": round(float(prior.log_density(held_out).mean()), 4),
            "mean log density (val, mirrored)": round(float(prior.log_density(mirrored).mean()), 4),
        },
        "licence": "MIT",
        "weights": np.round(weights, 6).tolist(),
        "means": np.round(means, 4).tolist(),
        "covariances": np.round(covariances, 6).tolist(),
    }
    arguments.out.write_text(json.dumps(card) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
