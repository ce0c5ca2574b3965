"""What the sequence alone tells: states on CB513, torsions, contacts and folds of the test chains; and with 5 % of distances.

CB513 and the test chains took no part in training or in any choice. Homologous rows are those rows of CB513 that have a
relative (25 % identity over 40 % of either sequence) in any of the training sets; the shipped model did not learn from
these relatives. Contacts: CB below 8 angstrom (on chains of CA alone the CB is placed from the trace), precision of the
best L/5 pairs at 12 or more places, mean over the chains; where distances are given, only pairs that were not given count.
Many short chains have fewer than L/5 such contacts, so that 100 cannot be reached: the row of true distances says what can.
"""

from __future__ import annotations

import csv
import gzip
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.encoder import GraphModel, list_weights, load
from gnnlib.heads.protein.baselines_sequence import (
    MajorityStates,
    WindowLookup,
    hydrophobic_contacts,
    separation_contacts,
)
from gnnlib.heads.protein.chains import chains_folder, load_chains
from gnnlib.heads.protein.decode import reconstruct
from gnnlib.heads.protein.metrics import lddt, tm_score
from gnnlib.heads.protein.scores.sequence_scores import (
    contact_scores,
    given_pairs,
    mean_precision,
    measure_states,
    measure_torsions,
)
from gnnlib.heads.protein.sequence_models import predict_distances
from gnnlib.heads.protein.sequences import STATES3_OF_8, LabelledSequence, cb513_relatives, load_sequences
from gnnlib.heads.protein.training.pair_data import PairChain, load_pair_chains
from gnnlib.heads.protein.training.sequence_data import chain_record

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from gnnlib.typing import FloatArray, IntArray

SHIPPED = "protein-sequence"
SHARE = 0.05
PUBLISHED = (
    ("one-hot LSTM, as given by TAPE", "Q3", 69.0, "R. Rao et al. 2019"),
    ("S4PRED", "Q3", 75.3, "L. Moffat and D. Jones 2021; learned from 1 M pseudo-labelled sequences"),
)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    quick = bool(getattr(options, "quick", False))
    if SHIPPED not in list_weights():
        return {"rows": [], "notes": [f"the weights {SHIPPED} are not there"]}
    chosen = getattr(options, "tasks", None) or ",".join(TASKS)
    rows = [row for name in chosen.split(",") for row in TASKS[name](quick)]
    return {"rows": rows, "notes": [str(__doc__)]}


def _models(stem: str) -> Iterator[tuple[str, GraphModel]]:
    """Yield the shipped model, and others of the same kind that lie in the folder of runs."""
    yield "gnnlib, shipped (seed 0)", load(SHIPPED)
    for path in sorted(Path("runs/protein").glob(f"sequence-small*/{stem}*.safetensors")):
        # the folder's name ends with the seed, and says whether relatives of CB513 were kept
        label = path.parent.name.removeprefix("sequence-small")
        if label != "-0":
            yield f"gnnlib, residues only, run{label.replace('-', ' ')}", GraphModel.load(path)


def _states(quick: bool) -> Iterator[dict[str, Any]]:
    rows = load_sequences("cb513")
    if quick:
        rows = rows[:30]
    related = cb513_relatives("cb513")
    parts = {"all": rows, "without homologous rows": [row for row in rows if row.name not in related]}
    train = [row for row in load_sequences("cb6133filtered") if row.name not in cb513_relatives("cb6133filtered")]
    found: dict[str, dict[str, IntArray]] = {}
    found["majority"] = {row.name: MajorityStates.fit(train).predict(row.residues) for row in rows}
    table, few = WindowLookup(train, max_windows=30_000), rows[:: 3 if quick else 10]  # exact search is slow
    looked_up = {row.name: table.predict(row.residues) for row in few}
    yield {
        "task": "states", "set": "CB513, every tenth row", "chains": len(few), "method": "window look-up",
        "reads": "one sequence", **_shares(few, looked_up),
    }  # fmt: skip
    for part, chosen in parts.items():
        common = {"task": "states", "set": f"CB513, {part}", "chains": len(chosen)}
        for name, model in _models("weights-residues"):
            yield common | {"method": name, "reads": "one sequence"} | measure_states(model, chosen)
        for name, states in (found | _peers(rows)).items():
            reads = "profiles" if name.startswith("cu-ssp") else "one sequence"
            yield common | {"method": name, "reads": reads} | _shares(chosen, states)
    for name, metric, value, source in PUBLISHED:
        yield {
            "task": "states",
            "set": "CB513",
            "method": f"{name} (published)",
            metric.lower(): value,
            "source": source,
        }


def _peers(rows: list[LabelledSequence]) -> dict[str, dict[str, IntArray]]:
    """Read the predictions that the authors of cu-ssp stored; they used profiles."""
    known = {row.name: row for row in rows}
    found = {}
    for path in sorted((chains_folder() / "ss" / "peer_predictions").glob("*.csv.gz")):
        with gzip.open(path, "rt", newline="") as file:
            texts = {entry["id"]: entry["expected"] for entry in csv.DictReader(file) if entry["id"] in known}
        if all(name in texts and len(texts[name]) == len(row) for name, row in known.items()):
            states = {
                n: LabelledSequence.from_states8(n, "A" * len(t), t).states8 for n, t in texts.items() if n in known
            }
            found[f"cu-ssp {path.name.removesuffix('.csv.gz')}"] = states
    return found


def _shares(rows: list[LabelledSequence], states: dict[str, IntArray]) -> dict[str, float]:
    guess = np.concatenate([states[row.name] for row in rows])
    truth = np.concatenate([row.states8 for row in rows])
    known = (truth >= 0) & (guess >= 0)
    right3 = STATES3_OF_8[guess[known]] == STATES3_OF_8[truth[known]]
    return {"q8": 100 * float((guess == truth)[known].mean()), "q3": 100 * float(right3.mean())}


def _torsions(quick: bool) -> Iterator[dict[str, Any]]:
    records = [chain_record(chain) for chain in load_chains("test")[:: 10 if quick else 1]]
    found = measure_torsions(load(SHIPPED), records)
    common = {"task": "torsions", "set": "test chains with a backbone", "chains": len(records)}
    yield common | {"method": "gnnlib, shipped (seed 0)", **{f"{k}_mae_degrees": v for k, v in found.items()}}
    yield common | {"method": "gnnlib, shipped (seed 0)", "task": "states", **measure_states(load(SHIPPED), records)}


def _test_chains(quick: bool) -> dict[str, list[PairChain]]:
    chains = load_pair_chains("test")
    sets = {"test chains with a backbone": [c for c in chains if c.has_backbone], "all test chains": chains}
    return {name: part[:12] for name, part in sets.items()} if quick else sets


def _contacts(quick: bool) -> Iterator[dict[str, Any]]:
    scorers = {"gnnlib, shipped (seed 0)": load(SHIPPED)}
    for path in sorted(Path("runs/protein/out").glob("protein-sequence-*.safetensors")):
        scorers[f"gnnlib, {path.stem.removeprefix('protein-sequence-')}"] = GraphModel.load(path)
    for name, chains in _test_chains(quick).items():
        common = {"task": "contacts from the sequence", "set": name, "chains": len(chains)}
        for label, model in scorers.items():
            value = mean_precision(chains, lambda chain, model=model: contact_scores(model, chain))  # type: ignore[misc]
            yield common | {"method": label, "precision_l5": value}
        for label, rank in (("separation", separation_contacts), ("hydropathy", hydrophobic_contacts)):
            yield common | {
                "method": label,
                "precision_l5": mean_precision(chains, lambda chain, rank=rank: rank(chain.residues)),  # type: ignore[misc]
            }
    yield {
        "task": "contacts from the sequence", "set": "ProteinNet", "method": "one-hot, as given by TAPE (published)",
        "precision_l5": 29.0, "source": "R. Rao et al. 2019; other chains",
    }  # fmt: skip


def _completion(quick: bool) -> Iterator[dict[str, Any]]:
    model = load(SHIPPED)

    def truth(chain: PairChain) -> FloatArray:
        return -np.linalg.norm(chain.cb[:, None] - chain.cb, axis=-1)

    def learned(chain: PairChain) -> FloatArray:
        return contact_scores(model, chain, share=SHARE)

    def folded(chain: PairChain) -> FloatArray:
        given = given_pairs(chain, SHARE)
        points = reconstruct(np.where(given > 0, given, np.nan)).coords
        return -np.linalg.norm(points[:, None] - points, axis=-1)

    def shipped(chain: PairChain) -> FloatArray:
        given = given_pairs(chain, SHARE)
        return predict_distances(chain.sequence, distances=np.where(given > 0, given, np.nan)).contact_probability

    ways = {
        "true distances: the highest that can be": truth,
        "pair head alone": learned,
        "reconstruct alone": folded,
        "predict_distances (both)": shipped,
    }
    sets = {name: chains[:: 1 if quick else 4] for name, chains in _test_chains(quick).items()}
    every = {chain.name: chain for chains in sets.values() for chain in chains}
    for label, way in ways.items():
        found: dict[str, tuple[float, float]] = {}
        for name, chain in every.items():
            started = time.process_time()
            value = mean_precision([chain], way, share=SHARE)
            found[name] = value, 1000 * (time.process_time() - started)
        for name, chains in sets.items():
            value, spent = np.mean([found[chain.name] for chain in chains], axis=0).tolist()
            yield {
                "task": "contacts with 5 % of distances", "set": f"{name}, every fourth", "chains": len(chains), "method": label,
                "precision_l5": value, "cpu_ms": None if way is truth else spent,
            }  # fmt: skip


def _folds(quick: bool) -> Iterator[dict[str, Any]]:
    chains = [chain for chain in _test_chains(quick)["test chains with a backbone"] if len(chain) >= 50][::5]
    for share in (0.0, SHARE):
        scores: list[tuple[float, float, float]] = []
        for chain in chains:
            given = given_pairs(chain, share) if share else np.zeros((len(chain), len(chain)))
            found = predict_distances(chain.sequence, distances=np.where(given > 0, given, np.nan))
            quality = tm_score(found.coords, chain.ca), lddt(found.coords, chain.ca)
            scores.append((*(float(getattr(value, "score", value)) for value in quality), found.reliability))
        table = np.array(scores)
        yield {
            "task": "fold", "set": "test chains of 50 or more residues, every fifth", "chains": len(chains),
            "method": f"predict_distances, {share:.0%} of distances given", "tm_score": float(table[:, 0].mean()),
            "lddt": float(table[:, 1].mean()), "share_tm_above_half": float((table[:, 0] > 0.5).mean()),
            "correlation_reliability_tm": float(np.corrcoef(table[:, 2], table[:, 0])[0, 1]),
        }  # fmt: skip


TASKS = {"states": _states, "torsions": _torsions, "contacts": _contacts, "completion": _completion, "folds": _folds}
