"""The verbs `assess` and `consensus` on models and natives of every kind."""

import json

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.protein.assessment import assess, consensus
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.problem import Structure

HELIX = build_backbone(np.full(30, -57.0), np.full(30, -47.0))
STRAND = build_backbone(np.full(30, -120.0), np.full(30, 130.0))


def test_structures_arrays_and_traces_give_the_same_scores():
    model = HELIX + np.random.default_rng(0).normal(0, 0.4, HELIX.shape)
    wanted = assess(model, HELIX)
    assert 0.3 < wanted.tm_score < 1.0
    for one, other in ((model[:, 1], HELIX[:, 1]), (Structure.from_arrays(model), HELIX[:, :4])):
        assert assess(one, other).tm_score == pytest.approx(wanted.tm_score, abs=1e-12)
    np.testing.assert_allclose(np.linalg.norm(wanted.coords - HELIX[:, 1], axis=1), wanted.distances_angstrom)
    np.testing.assert_allclose(model[:, 1] @ wanted.rotation.T + wanted.translation, wanted.coords)


def test_result_prints_itself_and_becomes_json():
    result = assess(HELIX, HELIX)
    text = json.loads(json.dumps(result.to_dict()))
    assert text["gdt_ts"] == 1.0
    assert "native" not in text
    assert "TM-score" in result.summary()
    assert "<table>" in result._repr_html_()


def test_model_of_wrong_length_is_refused_with_a_way_out():
    with pytest.raises(InputError, match=r"the model has 25 residues, the native 30.*match='numbering'"):
        assess(HELIX[:25], HELIX)
    with pytest.raises(InputError, match="`match` must be one of"):
        assess(HELIX, HELIX, match="luck")


def test_numbering_pairs_residues_and_charges_those_that_are_missing():
    numbers = np.arange(10, 40)
    native = Structure.from_arrays(HELIX, residue_numbers=numbers, chain_ids="A")
    part = Structure.from_arrays(HELIX[6:], residue_numbers=numbers[6:], chain_ids="B")
    found = assess(part, native, match="numbering")
    assert found.num_matched == 24
    assert found.tm_score == pytest.approx(0.8, abs=1e-6)
    assert np.isnan(found.coords[:6]).all()
    assert "24 of 30" in found.summary()
    elsewhere = Structure.from_arrays(HELIX, residue_numbers=numbers + 500)
    with pytest.raises(InputError, match="renumber"):
        assess(elsewhere, native, match="numbering")


def test_chains_in_another_order_are_paired_by_their_names():
    chains = np.repeat(["A", "B"], 15)
    native = Structure.from_arrays(HELIX, chain_ids=chains, residue_numbers=np.tile(np.arange(15), 2))
    turned = native.select(np.r_[15:30, 0:15])
    assert assess(turned, native, match="numbering").rmsd == pytest.approx(0.0, abs=1e-6)
    assert assess(turned, native).rmsd > 1.0


def test_mirror_image_is_no_good_model():
    assert assess(HELIX[:, 1] * [-1.0, 1.0, 1.0], HELIX).tm_score < 0.8


def test_one_residue_is_assessed():
    assert assess(np.zeros((1, 3)), np.ones((1, 3))).gdt_ts == 1.0


@pytest.mark.parametrize("metric", ["gdt_ts", "tm_score", "lddt"])
def test_consensus_prefers_the_common_shape(metric):
    noise = np.random.default_rng(1).normal(0, 0.3, (3, 30, 3))
    models = [HELIX[:, 1] + noise[0], STRAND[:, 1], HELIX[:, 1] + noise[1], HELIX[:, 1] + noise[2]]
    found = consensus(models, metric=metric)
    assert found.ranking[-1] == 1
    np.testing.assert_allclose(found.similarity, found.similarity.T)
    assert found.lddt_per_residue.shape == (4, 30)
    assert found.lddt_per_residue[1].mean() < found.lddt_per_residue[0].mean()
    assert found.scores[0] == pytest.approx((found.similarity[0].sum() - 1) / 3)
    assert "best" in found.summary()


def test_consensus_does_not_depend_on_the_order_of_models():
    models = [HELIX[:, 1], STRAND[:, 1], HELIX[:, 1] + np.random.default_rng(2).normal(0, 1, (30, 3))]
    forth, back = consensus(models, metric="lddt").scores, consensus(models[::-1], metric="lddt").scores
    np.testing.assert_allclose(forth, back[::-1])


def test_consensus_refuses_what_cannot_be_compared():
    with pytest.raises(InputError, match="at least 2"):
        consensus([HELIX])
    with pytest.raises(InputError, match="found 30 in 0 and 20 in 1"):
        consensus([HELIX, HELIX[:20]])
    with pytest.raises(InputError, match="`metric` must be"):
        consensus([HELIX, HELIX], metric="rmsd")
