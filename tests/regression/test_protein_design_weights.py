"""The shipped weights of inverse folding and of the judge of models keep what their cards promise."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gnnlib.encoder import list_weights, load, read_card
from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.design import predict_sequence
from gnnlib.heads.protein.scores.quality_scores import judge, measure_quality
from gnnlib.heads.protein.training.decoy_sets import DecoyPlan, make_decoys

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (MIRROR / "protein" / "chains_backbone.npz").is_file(),
    reason=f"no protein chains below {MIRROR}; name a mirror of the data in GNNLIB_DATA",
)
LIMITS = {"protein-design": 1_600_000, "protein-quality": 800_000}


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(name not in list_weights(), reason=f"the weights {name} are not there")


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in LIMITS])
def test_weights_are_small_and_their_card_says_what_they_are_biased_to(name: str) -> None:
    import gnnlib.encoder

    path = Path(gnnlib.encoder.__file__).parents[1] / "weights" / f"{name}.safetensors"
    assert path.stat().st_size < LIMITS[name]
    card = read_card(name)
    assert "Bias" in card.data and card.seed == 0 and card.metrics and card.command.startswith("python -m gnnlib")


@needs_data
@needs("protein-design")
def test_a_third_of_the_residues_of_validation_chains_is_recovered() -> None:
    chains = [chain for chain in load_chains("val") if chain.num_residues > 60][:12]
    designs = [predict_sequence(chain.structure()) for chain in chains]
    assert np.mean([design.recovery for design in designs]) > 0.30
    # probabilities are worth their name: the mean confidence is about the share of hits
    confidence = np.concatenate([design.confidence for design in designs]).mean()
    hits = np.mean([a == b for design in designs for a, b in zip(design.sequence, design.native, strict=True)])
    assert abs(confidence - hits) < 0.06


@needs_data
@needs("protein-design")
def test_a_bare_trace_is_designed_nearly_as_well_as_its_backbone() -> None:
    chains = [chain for chain in load_chains("val") if chain.num_residues > 60][:12]
    full = [predict_sequence(chain.structure()).recovery for chain in chains]
    bare = [
        np.mean([a == b for a, b in zip(predict_sequence(chain.ca).sequence, chain.sequence, strict=True)])
        for chain in chains
    ]
    assert np.mean(bare) > np.mean(full) - 0.06


@needs_data
@needs("protein-quality")
def test_generated_decoys_of_unseen_chains_are_judged_well() -> None:
    decoys = make_decoys(DecoyPlan("val", 60, seed=1))
    scores = measure_quality(decoys, *judge(load("protein-quality"), decoys))
    assert scores["residue pearson"] > 0.7 and scores["lddt pearson"] > 0.75
