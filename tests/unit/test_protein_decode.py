"""Folding from distances: exact, noisy, partial and broken data, restraints, handedness, and bad input."""

import json

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.protein import baselines
from gnnlib.heads.protein.decode import reconstruct
from gnnlib.heads.protein.folding import fold, fold_kernels
from gnnlib.heads.protein.folding.chain_prior import load_chain_prior, stretch_features
from gnnlib.heads.protein.folding.fold_batch import reconstruct_batch
from gnnlib.heads.protein.folding.fold_start import NoiseModel, classical_scaling, complete, fit_noise, pairwise
from gnnlib.heads.protein.geometry import build_backbone, ca_angles
from gnnlib.heads.protein.metrics import rmsd
from gnnlib.heads.protein.samples import load_sample
from gnnlib.heads.protein.torsions import torsions


def made_chain(length=70, seed=2780):
    """Five helices with random turns; this seed makes them compact (radius of gyration 13.3 A) without a clash."""
    generator = np.random.default_rng(seed)
    is_turn = np.tile(np.repeat([False, True], [12, 4]), 5)[:length]
    phi, psi = generator.normal(-60.0, 6.0, length), generator.normal(-43.0, 6.0, length)
    phi[is_turn] = generator.uniform(-150, -50, is_turn.sum())
    psi[is_turn] = generator.uniform(-60, 170, is_turn.sum())
    return build_backbone(phi, psi)


BACKBONE = made_chain()
CA = BACKBONE[:, 1]
TRUE = np.linalg.norm(CA[:, None] - CA, axis=-1)


def noisy(spread, seed=0):
    draw = np.triu(np.random.default_rng(seed).normal(size=TRUE.shape), 1)
    return np.maximum(TRUE + spread * (draw + draw.T), 0.0) * ~np.eye(len(TRUE), dtype=bool)


def test_exact_distances_give_the_chain_and_its_hand():
    found = reconstruct(TRUE)
    assert rmsd(found.coords, CA) < 0.02
    assert rmsd(found.mirror, CA) > 1.0
    assert found.handedness_confidence > 0.99
    assert found.stress.max() < 0.05
    assert found.known_fraction == 1.0


def test_mirrored_coordinates_cannot_be_told_from_their_distances():
    mirrored = CA * [-1.0, 1.0, 1.0]
    again = reconstruct(np.linalg.norm(mirrored[:, None] - mirrored, axis=-1))
    assert rmsd(again.coords, CA) < 0.02


def test_noise_is_estimated_and_averaged_out():
    found = reconstruct(noisy(2.0))
    assert found.noise_absolute_angstrom == pytest.approx(2.0, abs=0.3)
    assert rmsd(found.coords, CA) < 0.8
    assert rmsd(found.coords, CA) < rmsd(_right_hand(baselines.classical_mds(noisy(2.0))), CA)
    growing = reconstruct(noisy(0.1 * TRUE))
    assert growing.noise_relative == pytest.approx(0.1, abs=0.02)
    assert rmsd(growing.coords, CA) < rmsd(_right_hand(baselines.smacof(noisy(0.1 * TRUE))), CA)


def _right_hand(points):
    return min((points, points * [-1.0, 1.0, 1.0]), key=lambda one: rmsd(one, CA))


def test_contacts_alone_are_folded_with_walls():
    found = reconstruct(noisy(0.3), mask=(TRUE < 12.0) & (TRUE > 0))
    assert found.cutoff_angstrom == pytest.approx(12.0, abs=0.6)
    assert rmsd(found.coords, CA) < 2.5
    assert "cut off" in found.summary()


def test_a_tenth_of_the_pairs_is_enough():
    chosen = np.triu(np.random.default_rng(4).random(TRUE.shape) < 0.12, 1)
    found = reconstruct(noisy(0.5), mask=chosen | chosen.T)
    assert found.cutoff_angstrom is None
    assert rmsd(found.coords, CA) < 1.5


def test_nan_mask_and_zero_weight_say_the_same():
    hidden = np.triu(np.random.default_rng(4).random(TRUE.shape) < 0.5, 1)
    hidden = hidden | hidden.T
    with_nan = reconstruct(np.where(hidden, np.nan, noisy(0.5)))
    by_mask = reconstruct(noisy(0.5), mask=~hidden & ~np.eye(len(CA), dtype=bool))
    by_weight = reconstruct(noisy(0.5), weights=np.where(hidden, 0.0, 1.0))
    np.testing.assert_array_equal(with_nan.coords, by_mask.coords)
    np.testing.assert_array_equal(with_nan.coords, by_weight.coords)


def test_pairs_known_in_one_direction_count():
    upper = np.where(np.tri(len(CA), dtype=bool), np.nan, TRUE)
    assert rmsd(reconstruct(upper).coords, CA) < 0.02


def test_single_wild_distances_do_little():
    wild = noisy(0.3)
    for i, j in ((3, 50), (20, 60), (11, 33)):
        wild[i, j] = wild[j, i] = 90.0
    assert rmsd(reconstruct(wild).coords, CA) < 0.6


def test_weights_point_at_the_exact_distances():
    bad = np.zeros(TRUE.shape, dtype=bool)
    bad[:20, 40:] = bad[40:, :20] = True
    mixed = np.where(bad, noisy(6.0), noisy(0.2))
    plain, told = reconstruct(mixed), reconstruct(mixed, weights=np.where(bad, 1e-3, 1.0))
    assert rmsd(told.coords, CA) <= rmsd(plain.coords, CA) + 0.02
    assert rmsd(told.coords, CA) < 0.3


def test_a_gap_in_the_chain_is_seen_or_told():
    two = np.concatenate([CA[:35], CA[35:] + np.array([15.0, 5.0, 0.0])])
    true = np.linalg.norm(two[:, None] - two, axis=-1)
    assert rmsd(reconstruct(true).coords, two) < 0.05
    assert rmsd(reconstruct(true, segment=np.repeat([0, 1], 35)).coords, two) < 0.05


def test_same_seed_same_trace():
    chosen = np.triu(np.random.default_rng(4).random(TRUE.shape) < 0.05, 1)
    one, two = (reconstruct(noisy(1.0), mask=chosen | chosen.T, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.coords, two.coords)


def test_secondary_structure_and_torsions_help_scarce_data():
    angles = torsions(BACKBONE)
    plain, told = [], []
    for seed in range(3):
        chosen = np.triu(np.random.default_rng(seed).random(TRUE.shape) < 0.06, 1)
        given = np.where(chosen | chosen.T, noisy(1.0, seed), np.nan)
        plain.append(rmsd(reconstruct(given).coords, CA))
        told.append(rmsd(reconstruct(given, torsions=angles).coords, CA))
    assert np.mean(told) < np.mean(plain)
    helped = reconstruct(given, secondary_structure=("H" * 12 + "C" * 4) * 4 + "H" * 6)
    _, alpha = ca_angles(helped.coords, np.zeros(70, dtype=int))
    assert np.nanmedian(np.abs(alpha[1:9])) == pytest.approx(50.0, abs=12.0)
    pair = np.stack([angles.phi, angles.psi], axis=1)
    np.testing.assert_array_equal(reconstruct(given, torsions=pair).coords, reconstruct(given, torsions=angles).coords)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_few_points_are_placed_at_their_distances(count):
    part = TRUE[10 : 10 + count, 10 : 10 + count]
    found = reconstruct(part)
    np.testing.assert_allclose(np.linalg.norm(found.coords[:, None] - found.coords, axis=-1), part, atol=0.3)
    if count < 4:
        assert found.handedness_confidence == 0.5


def test_result_becomes_json():
    text = json.loads(json.dumps(reconstruct(TRUE[:12, :12]).to_dict()))
    assert len(text["coords"]) == 12
    assert text["cutoff_angstrom"] is None


@pytest.mark.parametrize(
    ("distances", "words"),
    [
        (TRUE[:5], "square matrix"),
        (np.zeros((1, 1)), "L >= 2"),
        (-TRUE, "not negative"),
        (np.where(TRUE > 25, np.inf, TRUE), "finite and not negative"),
        (TRUE + np.triu(np.ones_like(TRUE), 1), "must be symmetric"),
        (TRUE + np.eye(len(TRUE)), "0 on the diagonal"),
        (np.full((4, 4), np.nan), "at least 1 known distance"),
        ([["a", "b"], ["c", "d"]], "real numbers"),
    ],
)
def test_bad_matrices_are_named(distances, words):
    with pytest.raises(InputError, match=words):
        reconstruct(distances)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mask": np.ones((3, 3), dtype=bool)}, "`mask` must be bool"),
        ({"weights": -np.ones_like(TRUE)}, "`weights` must be finite"),
        ({"weights": np.ones(3)}, "shape of `distances`"),
        ({"segment": np.zeros(3, dtype=int)}, "`segment` must be 70 integers"),
        ({"secondary_structure": "HHH"}, "must have 70 letters, found 3"),
        ({"secondary_structure": "Z" * 70}, "letters of HBEGITSC"),
        ({"torsions": np.zeros((3, 2))}, "phi and psi"),
        ({"seed": -1}, "`seed` must be"),
    ],
)
def test_bad_options_are_named(options, words):
    scarce = np.where(np.abs(np.subtract.outer(np.arange(70), np.arange(70))) % 9 == 1, TRUE, np.nan)
    with pytest.raises(InputError, match=words):
        reconstruct(scarce if "seed" in options else TRUE, **options)


def test_mask_over_an_unknown_distance_is_refused():
    holes = TRUE.copy()
    holes[2, 5] = holes[5, 2] = np.nan
    with pytest.raises(InputError, match=r"found NaN at \[2, 5\]"):
        reconstruct(holes, mask=np.ones(TRUE.shape, dtype=bool))


BONDED = np.arange(70) < 69


def problem_of(weight, terms, clash, *, kind=np.float64, listed=False):
    """The energy of distances one angstrom too long, with pairs in rows or in a list."""
    given = fold.Given(TRUE, weight != 0.0, np.abs(weight), BONDED, np.zeros_like(TRUE), np.zeros_like(TRUE))
    make = fold._few_problem if listed else fold._problem
    made = make(given, TRUE + 1.0, weight, fold._Terms())
    made = made._replace(terms=np.array(terms), clash=np.array(clash))
    prior = load_chain_prior()
    centre, coefficients = prior.products()
    mixture = fold_kernels.Mixture(centre, coefficients, np.ascontiguousarray(coefficients.T), prior.offsets)
    made = made._replace(mixture=mixture)
    if not listed:
        made = made._replace(target=TRUE + 1.0, weight=weight)

    def cast(part):
        if isinstance(part, tuple):
            return type(part)(*map(cast, part))
        return part.astype(kind) if part.dtype.kind == "f" else part

    return cast(made)


def some_weights():
    generator = np.random.default_rng(0)
    chance = np.triu(generator.random(TRUE.shape), 1)
    weight = np.where(chance + chance.T < 0.3, -0.7, 1.3)
    np.fill_diagonal(weight, 0.0)
    return weight, np.ascontiguousarray(np.concatenate([CA.T, np.zeros((1, 70))]) + generator.normal(0, 0.4, (4, 70)))


def test_gradient_is_the_slope_of_the_energy():
    weight, x = some_weights()
    problem = problem_of(weight, (50.0, 0.7, 0.6, 0.2), (4.5, 3.0))
    gradient, scratch = np.empty_like(x), np.empty_like(x)
    fold_kernels.energy(x, problem, gradient)
    for m, i in ((0, 0), (1, 3), (2, 40), (3, 69), (0, 69), (2, 2), (3, 20)):
        ends = []
        for side in (1e-5, -1e-5):
            moved = x.copy()
            moved[m, i] += side
            ends.append(fold_kernels.energy(moved, problem, scratch))
        assert gradient[m, i] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-3)


def test_single_precision_changes_energy_and_slope_little():
    x = np.ascontiguousarray(np.concatenate([CA.T, np.full((1, 70), 0.3)]))
    found = []
    for kind in (np.float64, np.float32):
        problem = problem_of(1.0 - np.eye(70), (50.0, 0.7, 0.6, 0.2), (4.5, 3.0), kind=kind)
        slope = np.empty((4, 70), kind)
        found.append((fold_kernels.energy(x.astype(kind), problem, slope), slope))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    assert np.allclose(found[1][1], found[0][1], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("has_walls", [False, True])
def test_a_list_of_pairs_has_the_energy_of_all_pairs_in_rows(has_walls):
    """The walls of the rows are those of the list: unknown pairs at one distance and weight, three places apart."""
    generator = np.random.default_rng(5)
    chosen = np.triu(generator.random(TRUE.shape) < 0.06, 1)
    chosen |= chosen.T
    place = np.arange(70)
    walled = ~chosen & (np.abs(place[:, None] - place) > 2) & has_walls
    weight = np.where(chosen, 1.3, np.where(walled, -4.0, 0.0))
    target = np.where(walled, 7.0, TRUE + 1.0)
    given = fold.Given(TRUE, chosen, np.ones_like(TRUE), BONDED, np.zeros_like(TRUE), np.zeros_like(TRUE))
    terms = fold._Terms(prior=0.3, sharpness=0.5, flat=0.1)
    rows, listed = fold._problem(given, target, weight, terms), fold._few_problem(given, target, weight, terms)
    x = np.concatenate([CA.T, np.zeros((1, 70))]).astype(np.float32)
    for step in (0.3, 0.1, 2.5):  # near pairs are listed anew only after the last of the three
        x = (x + generator.normal(0.0, step, x.shape)).astype(np.float32)
        slopes = np.empty_like(x), np.empty_like(x)
        energies = [fold_kernels.energy(x, one, slope) for one, slope in zip((rows, listed), slopes, strict=True)]
        assert energies[1] == pytest.approx(energies[0], rel=1e-5)
        np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-3, atol=0.02)
    assert (np.abs(listed.few.anchor - x) < 1e-6).all()


def test_annealing_through_the_fourth_dimension_turns_a_left_handed_helix():
    """Loose exact distances hold the mirror image in three dimensions; the prior alone prefers the other hand."""
    turn = np.radians(100.0) * np.arange(16)
    right = np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(16)], axis=1)
    left = right * [-1.0, 1.0, 1.0]
    lengths, everyone = pairwise(right.T), ~np.eye(16, dtype=bool)
    given = fold.Given(lengths, everyone, np.ones((16, 16)), np.arange(16) < 15, *np.zeros((2, 16, 16)))
    problem = fold._problem(given, lengths, 0.2 * everyone, fold._Terms(25.0, 0.3))
    start = np.ascontiguousarray(np.concatenate([left.T, np.zeros((1, 16))]), dtype=np.float32)
    stuck = start.copy()
    fold_kernels.minimise(stuck, problem, 100, 1e-5)
    assert rmsd(stuck[:3].T, left) < 1.0 < rmsd(stuck[:3].T, right)
    course = fold_kernels.Course(600, 0.1, 3.0, 1.0, (0.05, 0.3), (1e-3, 2.0))
    errors = []
    for seed in range(3):  # most turn whole; some keep a kink
        turned = start.copy()
        fold_kernels.anneal(turned, problem, course, np.random.default_rng(seed))
        assert problem.terms[2] == pytest.approx(0.3, abs=0.01)
        turned[3] = 0.0
        fold_kernels.minimise(turned, problem, 100, 1e-5)
        errors.append(rmsd(turned[:3].T, right))
    assert min(errors) < 1.0


def test_three_distances_a_residue_give_the_fold_and_its_hand():
    for seed in range(3):
        chosen = np.triu(np.random.default_rng(seed).random(TRUE.shape) < 0.09, 1)
        found = reconstruct(noisy(1.0, seed), mask=chosen | chosen.T)
        assert rmsd(found.coords, CA) < 2.5
        assert found.handedness_confidence > 0.9


@pytest.mark.parametrize(
    ("energies", "rounds", "calls", "gap"),
    [
        ((5.0, 5.5, 9.0, 1.0), 1, 4, 4.0),  # the second hand wins in the second round
        ((5.0, 5.5, 9.0, 1.0), 0, 2, 0.5),
        ((5.0, 99.0, 9.0, 1.0), 1, 2, 94.0),  # clear at once
        ((5.0, 5.5, 5.2, 5.3, 7.0, 8.0), 2, 6, 0.3),
    ],
)
def test_both_hands_are_annealed_again_while_they_are_close(monkeypatch, energies, rounds, calls, gap):
    handed_out = []

    def annealed(_given, _pose, start, _generator):
        handed_out.append(energies[len(handed_out)])
        return handed_out[-1], start

    monkeypatch.setattr(fold, "_annealed", annealed)
    monkeypatch.setattr(fold, "_CLEAR_GAP", np.inf)
    ca = load_sample("bundle").ca[:40]
    truth = np.linalg.norm(ca[:, None] - ca, axis=-1)
    known = np.abs(np.subtract.outer(np.arange(40), np.arange(40))) == 7
    zeros, bonded = np.zeros_like(truth), np.arange(40) < 39
    found = fold.fold(fold.Given(truth, known, zeros + 1.0, bonded, zeros, zeros), rounds=rounds)
    assert len(handed_out) == calls
    assert found.gap == pytest.approx(gap)


def test_exponents_of_the_prior_are_polynomials_of_the_features():
    prior = load_chain_prior()
    centre, coefficients = prior.products()
    features = stretch_features(CA)[:5] - centre
    first, second = np.triu_indices(8)
    terms = np.concatenate([features[:, first] * features[:, second], features, np.ones((5, 1))], axis=1)
    off = features[:, None] + centre - prior.means
    expected = -0.5 * np.einsum("mki,kij,mkj->mk", off, prior.precisions, off)
    np.testing.assert_allclose(terms @ coefficients.T, expected, rtol=1e-8, atol=1e-6)


def test_paths_are_those_of_scipy():
    from scipy.sparse.csgraph import shortest_path

    lengths = np.where(np.random.default_rng(3).random(TRUE.shape) < 0.05, TRUE + 1.0, np.inf)
    lengths = np.minimum(lengths, lengths.T)
    np.fill_diagonal(lengths, 0.0)
    expected = shortest_path(np.where(np.isfinite(lengths), lengths, 0.0), directed=False)
    fold_kernels.shorten(lengths)
    assert np.allclose(lengths, expected)


def test_energy_is_that_of_plain_python():
    weight = np.where(np.add.outer(np.arange(70), np.arange(70)) % 3 == 0, -0.7, 1.3)
    np.fill_diagonal(weight, 0.0)
    prior = load_chain_prior()
    problem = problem_of(weight, (50.0, 0.7, 1.0, 0.2), (6.5, 3.0))
    x = np.ascontiguousarray(np.concatenate([1.1 * CA.T, np.full((1, 70), 0.5)]))
    d = np.linalg.norm(x.T[:, None] - x.T, axis=-1)
    total = 0.0
    for i in range(70):
        for j in range(i + 1, 70):
            off = d[i, j] - TRUE[i, j] - 1.0
            total += 0.5 * abs(weight[i, j]) * (min(off, 0.0) if weight[i, j] < 0 else off) ** 2
            total += 0.5 * 3.0 * min(d[i, j] - 6.5, 0.0) ** 2 if j - i > 2 else 0.0
        total += 0.5 * 50.0 * (d[i, i + 1] - 3.8) ** 2 if i < 69 else 0.0
    density = np.exp(prior.log_density(stretch_features(x[:3].T))) + np.exp(-16.0)
    total += 0.5 * 0.2 * 70 * 0.25 - 0.7 * np.log(density).sum()
    assert fold_kernels.energy(x, problem, np.empty_like(x)) == pytest.approx(total, rel=1e-5)


def test_prior_prefers_the_right_hand():
    prior = load_chain_prior()
    right = prior.log_density(stretch_features(CA)).sum()
    left = prior.log_density(stretch_features(CA * [-1.0, 1.0, 1.0])).sum()
    assert right > left + 100.0


def test_scaling_and_completion_of_a_path():
    line = np.outer(np.arange(6.0), [3.8, 0.0, 0.0])
    true = np.linalg.norm(line[:, None] - line, axis=-1)
    known = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) == 1
    full = complete(true, known, np.zeros(6, dtype=bool))
    np.testing.assert_allclose(full, true)
    np.testing.assert_allclose(pairwise(classical_scaling(full, 3)), true, atol=1e-4)
    split = complete(true, known & (np.add.outer(np.arange(6), np.arange(6)) != 5), np.zeros(6, dtype=bool))
    assert split[0, 5] == split.max()


def test_many_points_are_scaled_by_lanczos_as_by_the_whole_spectrum():
    points = np.random.default_rng(0).normal(0, [9, 6, 3], (520, 3))
    found = classical_scaling(np.linalg.norm(points[:, None] - points, axis=-1), 3)
    assert rmsd(_hand_of(found[:3].T, points), points) < 1e-3


def _hand_of(points, wanted):
    return min((points, points * [-1.0, 1.0, 1.0]), key=lambda one: rmsd(one, wanted))


def test_noise_model_has_a_floor_and_ignores_outliers():
    assert NoiseModel(0.0, 0.0).variance(np.ones(1))[0] > 0.0
    generator = np.random.default_rng(2)
    d = generator.uniform(4, 40, 5000)
    r = generator.normal(0, 1.0, 5000)
    r[::50] = 100.0
    assert fit_noise(r, d, 1.0).absolute_angstrom == pytest.approx(1.0, abs=0.25)


def test_batch_in_torch_folds_as_well_as_one_by_one():
    part = slice(0, 36)
    holes = np.triu(np.random.default_rng(4).random((36, 36)) < 0.3, 1)
    noise = noisy(0.5, 1)[part, part]
    found = reconstruct_batch(np.stack([noise, np.where(holes | holes.T, np.nan, noise)]))
    assert found.shape == (2, 36, 3)
    for one in found:
        assert rmsd(one, CA[part]) < 0.6
        assert rmsd(one * [-1.0, 1.0, 1.0], CA[part]) > 2.0


def test_batch_names_the_bad_matrix():
    with pytest.raises(InputError, match=r"matrix 1: `distances` must be finite and not negative"):
        reconstruct_batch(np.stack([TRUE, -TRUE]))
    with pytest.raises(InputError, match=r"shape \[B, L, L\]"):
        reconstruct_batch(TRUE)
    with pytest.raises(InputError, match="hold 1 matrices, found 2"):
        reconstruct_batch(TRUE[None], mask=np.ones((2, 70, 70), dtype=bool))


def test_baselines_answer_what_they_promise():
    assert baselines.p_sea(BACKBONE)[2:9] == "H" * 7
    assert baselines.majority_state(["HHC", "-CC"]) == "C"
    with pytest.raises(InputError, match="at least 1"):
        baselines.majority_state(["--"])
    strands = baselines.p_sea(build_backbone(np.full(10, -120.0), np.full(10, 130.0)))
    assert "E" in strands
    assert baselines.p_sea(np.zeros((1, 3))) == "C"
