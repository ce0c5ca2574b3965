"""The methods that read a C-alpha trace, behind one signature; used by the sections secondary and torsions."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gnnlib.heads.protein.baselines_learned import fit_trace_mlp
from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.dssp import assign_dssp
from gnnlib.heads.protein.graphs.trace import PaddedTrace, VirtualBackbone, pad_trace, steady_trace, trace_segment
from gnnlib.heads.protein.graphs.trace import virtual_backbone as estimate_backbone
from gnnlib.heads.protein.structure_models import BackbonePrediction, predict_backbone

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.typing import FloatArray, IntArray

NOISE_ANGSTROM = (0.0, 0.25, 0.5, 1.0)
SHIPPED = "protein-backbone"


class Method(NamedTuple):
    """A name, what it is, and a function of CA positions."""

    name: str
    kind: str
    predict: Callable[[FloatArray], Any]
    seed: int | None = None
    fit_s: float | None = None


def judged_chains(options: argparse.Namespace) -> list[TrainingChain]:
    """Return the 50 chains of TS50, ten of them with ``--quick``."""
    chains = [chain for chain in load_chains("ts50") if chain.source == "ts50"]
    return chains[:10] if getattr(options, "quick", False) else chains


def noisy(chains: list[TrainingChain], level: float, repeats: int) -> Iterator[tuple[TrainingChain, FloatArray]]:
    """Yield every chain with Gaussian noise of standard deviation `level` a coordinate, several times over."""
    for repeat in range(repeats if level else 1):
        random = np.random.default_rng([repeat, round(1000 * level)])
        for chain in chains:
            yield chain, chain.ca.astype(np.float64) + level * random.standard_normal(chain.ca.shape)


def models(options: argparse.Namespace) -> list[Method]:
    """Return the shipped model, and those of other seeds that lie in the folder of runs."""
    from gnnlib.encoder import GraphModel, list_weights, load

    found: list[Method] = []
    if SHIPPED in list_weights():
        found.append(_method("gnnlib, shipped", load(SHIPPED)))
    folder = Path(getattr(options, "runs", None) or "runs/protein") / "out"
    for path in sorted(folder.glob(f"{SHIPPED}-*.safetensors")):
        model = GraphModel.load(path).eval()
        if not found or model.card is None or found[0].seed != model.card.seed:
            found.append(_method("gnnlib, other seed", model))
    return found


def _method(name: str, model: GraphModel) -> Method:
    card = model.card
    seed, seconds = (None, None) if card is None else (card.seed, card.seconds)
    return Method(name, "graph network", functools.partial(predict_backbone, model=model), seed, seconds)


@functools.cache
def perceptron(*, quick: bool) -> Method:
    """Fit the perceptron of the baselines on the training chains."""
    chains = load_chains("train")
    started = time.process_time()
    fitted = fit_trace_mlp(chains[:60] if quick else chains, epochs=2 if quick else 10)
    return Method("MLP, 109 features", "perceptron", fitted.predict, 0, round(time.process_time() - started, 1))


def estimated(ca: FloatArray) -> tuple[PaddedTrace, VirtualBackbone, IntArray]:
    """Return the backbone that peptide planes suggest, without any network."""
    segment = trace_segment(ca)
    trace = pad_trace(steady_trace(ca, segment), segment)
    return trace, estimate_backbone(trace), segment


def states_of_estimate(ca: FloatArray) -> str:
    """Assign DSSP states to the estimated backbone."""
    trace, backbone, segment = estimated(ca)
    atoms = (backbone.nitrogen, trace.points, backbone.carbon, backbone.oxygen)
    return assign_dssp(np.stack([atom[trace.place] for atom in atoms], axis=1), segment)


def states_of(answer: BackbonePrediction | str) -> str:
    """Return the eight states of whatever a method answers."""
    return answer if isinstance(answer, str) else answer.states8
