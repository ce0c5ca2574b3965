"""Metrics by hand-checked numbers, plain twins, and their bad input."""

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.protein import metrics
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.scores.tm_search import search, tm_d0

RNG = np.random.default_rng(3)
HELIX = build_backbone(np.full(30, -57.0), np.full(30, -47.0))[:, 1]


def test_superpose_takes_batches_and_masks():
    models = HELIX + RNG.normal(0, 0.5, (4, 30, 3))
    mask = np.arange(30) < 20
    found = metrics.superpose(models, HELIX, mask=mask)
    assert found.coords.shape == (4, 30, 3)
    assert found.rmsd.shape == (4,)
    for k in range(4):
        alone = metrics.superpose(models[k][mask], HELIX[mask])
        assert found.rmsd[k] == pytest.approx(float(alone.rmsd), abs=1e-9)


def test_missing_residues_count_in_the_length_and_nowhere_else():
    model = HELIX.copy()
    model[-6:] = np.nan
    assert metrics.rmsd(model, HELIX) == pytest.approx(0.0, abs=1e-6)
    assert metrics.tm_score(model, HELIX) == pytest.approx(0.8, abs=1e-6)
    assert metrics.gdt_ts(model, HELIX) == pytest.approx(0.8)
    lost = metrics.lddt_per_residue(model, HELIX)
    assert (lost[-6:] == 0.0).all()
    assert metrics.lddt(model, HELIX) < 1.0


def test_mask_of_tm_score_changes_its_length():
    model = HELIX.copy()
    model[-6:] += 50.0
    mask = np.arange(30) < 24
    assert metrics.tm_score(model, HELIX, mask=mask) == pytest.approx(1.0, abs=1e-9)
    assert metrics.tm_score(model, HELIX) == pytest.approx(0.8, abs=0.01)


def test_search_finds_the_rigid_half_that_least_squares_blurs():
    native = build_backbone(np.full(60, -57.0), np.full(60, -47.0))[:, 1]
    hinge = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    model = native.copy()
    model[40:] = (model[40:] - model[39]) @ hinge.T + model[39]
    found = search(model, native, tm_d0(60))
    laid = model @ found.rotation.T + found.translation
    assert np.linalg.norm(laid[:38] - native[:38], axis=1).max() < 0.6
    assert found.within[1] >= 38


def test_lddt_is_that_of_a_double_loop():
    model = HELIX + RNG.normal(0, 1.5, HELIX.shape)
    kept = np.zeros(30)
    pairs = np.zeros(30)
    for i in range(30):
        for j in range(30):
            true = np.linalg.norm(HELIX[i] - HELIX[j])
            if i != j and true <= 15.0:
                off = abs(np.linalg.norm(model[i] - model[j]) - true)
                kept[i] += sum(off <= limit for limit in (0.5, 1, 2, 4)) / 4
                pairs[i] += 1
    np.testing.assert_allclose(metrics.lddt_per_residue(model, HELIX), kept / pairs, atol=1e-12)
    assert metrics.lddt(model, HELIX) == pytest.approx(kept.sum() / pairs.sum())


def test_one_residue_scores():
    one = np.zeros((1, 3))
    assert metrics.tm_score(one + 4.0, one) == pytest.approx(1.0)
    assert metrics.rmsd(one + 4.0, one) == pytest.approx(0.0)
    assert np.isnan(metrics.lddt(one, one))


def test_five_thousand_residues_are_scored():
    native = np.cumsum(RNG.normal(0, 2.2, (5000, 3)), axis=0)
    model = native + RNG.normal(0, 0.3, native.shape)
    assert metrics.lddt(model, native) > 0.9
    # the whole search takes seconds; its parts are those of short chains
    assert metrics.rmsd(model, native) == pytest.approx(0.3 * 3**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("model", "native", "words"),
    [
        (HELIX[:20], HELIX, "found 20 and 30"),
        (HELIX[None], HELIX[None], "must be \\[L, 3\\]"),
        (HELIX[:, :2], HELIX[:, :2], "positions \\[..., L, 3\\]"),
        (np.full((30, 3), np.nan), HELIX, "share at least 1 residue"),
        (
            np.where(np.arange(90).reshape(30, 3) == 7, np.inf, HELIX),
            HELIX,
            "finite or NaN, found inf at index \\[2, 1\\]",
        ),
        (np.zeros((0, 3)), np.zeros((0, 3)), "L >= 1"),
    ],
)
def test_bad_positions_are_named(model, native, words):
    with pytest.raises(InputError, match=words):
        metrics.tm_score(model, native)


def test_bad_mask_and_batches_are_named():
    with pytest.raises(InputError, match="`mask` must be bool"):
        metrics.rmsd(HELIX, HELIX, mask=np.ones(30))
    with pytest.raises(InputError, match="batch axes"):
        metrics.rmsd(np.zeros((2, 30, 3)), np.zeros((3, 30, 3)))


def test_q3_and_q8_count_letters_and_leave_unassigned_out():
    assert metrics.q8("HGC-", "HHC-") == pytest.approx(2 / 3)
    assert metrics.q3("HGC-", "HHC-") == 1.0
    assert metrics.q8("C", "P") == 1.0
    with pytest.raises(InputError, match="one length"):
        metrics.q3("H", "HH")
    with pytest.raises(InputError, match="at least 1 assigned"):
        metrics.q3("H", "-")


def test_sov_of_worked_segments():
    # one true segment of 6, predicted 2..5 (length 4): shared 4, spanned 6, allowance min(2, 4, 3, 2) = 2
    assert metrics.sov("CHHHHC", "HHHHHH", state="H") == pytest.approx((4 + 2) / 6)
    # the same split in two: (1 + 0) / 6 and (3 + 1) / 6, normalised by two overlaps
    assert metrics.sov("HCCHHH", "HHHHHH", state="H") == pytest.approx((1 / 6 + 4 / 6) / 2)
    assert np.isnan(metrics.sov("CCC", "CCC", state="E"))
    with pytest.raises(InputError, match="H, E, C or None"):
        metrics.sov("C", "C", state="Q")


def test_contact_precision_looks_at_the_top_of_a_range():
    distances = np.full((30, 30), 20.0)
    distances[0, 24] = distances[24, 0] = 5.0
    distances[1, 13] = distances[13, 1] = 7.9
    scores = np.zeros((30, 30))
    scores[0, 24] = 2.0
    scores[1, 13] = 1.0
    scores[2, 20] = 0.5
    assert metrics.contact_precision(scores, distances, top=2 / 30) == 1.0
    assert metrics.contact_precision(scores, distances, top=3 / 30) == pytest.approx(2 / 3)
    assert metrics.contact_precision(scores, distances, top=1 / 30, min_separation=24) == 1.0
    assert metrics.contact_precision(scores, distances, top=1 / 30, max_separation=12, min_separation=12) == 1.0
    assert np.isnan(metrics.contact_precision(scores[:5, :5], distances[:5, :5]))
    with pytest.raises(InputError, match="one shape"):
        metrics.contact_precision(scores, distances[:5, :5])
    with pytest.raises(InputError, match="positive"):
        metrics.contact_precision(scores, distances, top=0.0)


def test_map_errors_leave_far_and_unknown_pairs_out():
    true = np.linalg.norm(HELIX[:, None] - HELIX, axis=-1)
    found = true + 1.0
    found[0, 5] = np.nan
    errors = metrics.distance_map_errors(found, true, max_distance_angstrom=10.0)
    assert errors["mae"] == pytest.approx(1.0)
    assert errors["bias"] == pytest.approx(1.0)
    assert errors["pairs"] == np.sum(np.triu(true <= 10.0, 1)) - 1
    assert np.isnan(metrics.distance_map_errors(found, true, min_separation=40)["mae"])


def test_quality_scores_by_target():
    scores = metrics.mqa_scores([3.0, 2.0, 1.0, 1.0, 2.0], [0.9, 0.5, 0.1, 0.4, 0.3], ["a", "a", "a", "b", "b"])
    assert scores["targets"] == 2
    assert scores["target_pearson"] == pytest.approx(0.0)
    assert scores["top1_loss"] == pytest.approx(0.05)
    assert metrics.spearman([1, 2, 3], [1, 8, 27]) == pytest.approx(1.0)
    assert np.isnan(metrics.pearson([1, 1], [1, 2]))
    with pytest.raises(InputError, match="found NaN"):
        metrics.mqa_scores([np.nan], [1.0])
