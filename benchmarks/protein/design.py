"""Inverse folding: native residues recovered on TS50 and on the test chains of the shipped splits.

Recovery is the mean (and median) over chains of the share of residues whose native amino acid is the most probable one.
TS50 took no part in training or in any choice; chains within 30 % identity of it were excluded from training.
Published figures are quoted, not measured here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gnnlib.encoder import list_weights, load
from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.graphs.design_graph import CONTEXT_DIM, design_graph
from gnnlib.heads.protein.networks.design_head import design_head
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.scores.design_scores import fix_residues, measure_recovery, score_graph
from gnnlib.heads.protein.training.train_design import prepare_split

if TYPE_CHECKING:
    import argparse

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.heads.protein.graphs.design_graph import DesignInput
    from gnnlib.typing import FloatArray

SHIPPED = "protein-design"
PUBLISHED = (
    ("SPIN2 (published)", 33.6, "J. O'Connell et al. 2018"),
    ("ProDCoNN (published)", 40.7, "Y. Zhang et al. 2020; about nine times the chains"),
    ("GVP (published)", 44.9, "B. Jing et al. 2021; about nine times the chains"),
    ("PiFold (published)", 58.72, "Z. Gao et al. 2023; about nine times the chains"),
)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    quick = bool(getattr(options, "quick", False))
    if SHIPPED not in list_weights():
        return {"rows": [], "notes": [f"the weights {SHIPPED} are not there"]}
    model = load(SHIPPED)
    peptide = design_head(model).peptide.double().numpy()
    sets = {"TS50": [c for c in load_chains("ts50") if c.source == "ts50"], "test": load_chains("test")}
    if quick:
        sets = {name: chains[:8] for name, chains in sets.items()}
    train = load_chains("train")[:: 20 if quick else 1]
    perceptron, commonest, fit_s = _fit_perceptron(prepare_split(train, peptide), seed=0)
    rows = []
    for name, chains in sets.items():
        inputs = prepare_split(chains, peptide)
        common = {"set": name, "chains": len(inputs), "residues": sum(map(len, inputs))}
        rows.append(common | {"method": "commonest amino acid", "kind": "trivial"} | _score_of(inputs, commonest))
        found = _score_of(inputs, perceptron)
        rows.append(
            common | {"method": "perceptron on the node features", "kind": "perceptron", "fit_s": fit_s} | found
        )
        rows += [common | row for row in _rows_of(model, inputs, chains, peptide)]
    if not quick:
        rows += [_published(*entry) for entry in PUBLISHED]
    return {"rows": rows, "notes": ["one seed of the network", "rows marked published were not run here"]}


def _published(method: str, recovery: float, source: str) -> dict[str, Any]:
    return {"set": "TS50", "method": method, "kind": "published", "mean_recovery": recovery, "source": source}


def _rows_of(
    model: GraphModel, inputs: list[DesignInput], chains: list[TrainingChain], peptide: FloatArray
) -> list[dict[str, Any]]:
    rows = []
    for passes in (1, 3):
        start = time.process_time()
        found = _percent(measure_recovery(model, inputs, passes))
        ms = 1e3 * (time.process_time() - start) / len(inputs)
        rows.append(
            {"method": f"gnnlib, {passes} pass(es)", "kind": "graph network", "ms_per_chain": round(ms, 1)} | found
        )
    for noise in (0.1, 0.3, 0.5):
        moved = prepare_split([_Moved(chain, noise) for chain in chains], peptide)  # type: ignore[misc]
        found = _percent(measure_recovery(model, moved))
        rows.append({"method": f"gnnlib, {noise} A noise", "kind": "graph network"} | found)
    bare = prepare_split([_Moved(chain, None) for chain in chains], peptide)  # type: ignore[misc]
    rows.append({"method": "gnnlib, CA only", "kind": "graph network"} | _percent(measure_recovery(model, bare)))
    rows.append({"method": "gnnlib, half of the residues given", "kind": "graph network"} | _half_given(model, inputs))
    return rows


class _Moved:
    """A chain with noise on its atoms, or with nothing but CA."""

    def __init__(self, chain: TrainingChain, noise_angstrom: float | None) -> None:
        self.sequence, self.num_residues = chain.sequence, chain.num_residues
        coords = chain.coords_angstrom.astype(np.float64)
        rng = np.random.default_rng([7, chain.num_residues])
        self.coords = (
            coords[:, 1] if noise_angstrom is None else coords + noise_angstrom * rng.standard_normal(coords.shape)
        )

    def structure(self) -> Structure:
        return Structure.from_arrays(self.coords, self.sequence)


def _percent(found: dict[str, float]) -> dict[str, float]:
    shares = {key.replace(" ", "_"): round(100 * value, 2) for key, value in found.items() if "recovery" in key}
    return shares | {"perplexity": round(found["perplexity"], 3)}


def _half_given(model: GraphModel, inputs: list[DesignInput]) -> dict[str, float]:
    rng = np.random.default_rng(0)
    shares = []
    for chain in inputs:
        given = np.where(rng.random(len(chain)) < 0.5, chain.sequence, 20)
        free = (given == 20) & (chain.sequence < 20)
        if free.any():
            logit = score_graph(model, fix_residues(design_graph([chain]), given)).numpy()
            shares.append(float(np.mean(logit.argmax(axis=1)[free] == chain.sequence[free])))
    return {
        "mean_recovery": round(100 * float(np.mean(shares)), 2),
        "median_recovery": round(100 * float(np.median(shares)), 2),
    }


def _nodes(chains: list[DesignInput]) -> tuple[torch.Tensor, torch.Tensor]:
    graphs = [design_graph([chain]) for chain in chains]
    features = torch.cat([graph.x[:, :-CONTEXT_DIM] for graph in graphs])
    return features, torch.from_numpy(np.concatenate([chain.sequence for chain in chains]))


def _fit_perceptron(chains: list[DesignInput], *, seed: int) -> tuple[Any, Any, float]:
    """Fit two hidden layers on each residue's own features; return it, the trivial guess, and CPU seconds."""
    start = time.process_time()
    x, y = _nodes(chains)
    x, y = x[y < 20], y[y < 20]
    mean, scale = x.mean(dim=0), x.std(dim=0) + 1e-3
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(x.shape[1], 192), nn.SiLU(), nn.Linear(192, 192), nn.SiLU(), nn.Linear(192, 20))
    steps = 8 * (len(y) // 512)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=max(steps, 2))
    for _ in range(steps):
        rows = torch.randint(len(y), (512,), generator=generator)
        loss = F.cross_entropy(net((x[rows] - mean) / scale), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    prior = torch.log(torch.bincount(y, minlength=20).float() / len(y))
    seconds = round(time.process_time() - start, 1)
    return (lambda x: net((x - mean) / scale)), (lambda x: prior.expand(len(x), -1)), seconds


@torch.inference_mode()
def _score_of(chains: list[DesignInput], predict: Any) -> dict[str, float]:
    hits, costs = [], []
    for chain in chains:
        x, y = _nodes([chain])
        known = y < 20
        logit = predict(x)[known]
        hits.append(float((logit.argmax(dim=1) == y[known]).float().mean()))
        costs.append(F.cross_entropy(logit, y[known], reduction="none"))
    return {
        "mean_recovery": round(100 * float(np.mean(hits)), 2),
        "median_recovery": round(100 * float(np.median(hits)), 2),
        "perplexity": round(float(torch.cat(costs).mean().exp()), 3),
    }
