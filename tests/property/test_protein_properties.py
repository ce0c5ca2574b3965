"""What holds for every chain: moves change nothing, mirrors do, identical is one, both directions agree."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.heads.protein import metrics
from gnnlib.heads.protein.dssp import assign_dssp
from gnnlib.heads.protein.geometry import build_backbone, ca_angles
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.secondary import secondary_structure

seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(8, 60)
few = settings(max_examples=20, deadline=None)


def chain_of(seed, length):
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, 3, length // 5 + 1).repeat(5)[:length]
    phi = np.array([-60.0, -120.0, -80.0])[kinds] + generator.normal(0, 10, length)
    psi = np.array([-45.0, 130.0, 60.0])[kinds] + generator.normal(0, 10, length)
    return build_backbone(phi, psi)


def move_of(seed):
    generator = np.random.default_rng(seed)
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    return turn * np.sign(np.linalg.det(turn)), generator.normal(size=3) * 100.0


@few
@given(seed=seeds, length=lengths)
def test_moves_change_neither_states_nor_angles_nor_scores(seed, length):
    chain, (turn, shift) = chain_of(seed, length), move_of(seed)
    moved = chain @ turn.T + shift
    segment = np.zeros(length, dtype=int)
    assert assign_dssp(moved, segment) == assign_dssp(chain, segment)
    np.testing.assert_allclose(ca_angles(moved[:, 1], segment), ca_angles(chain[:, 1], segment), atol=1e-6)
    other = chain_of(seed + 1, length)[:, 1]
    for metric in (metrics.tm_score, metrics.gdt_ts, metrics.lddt, metrics.rmsd):
        assert abs(metric(moved[:, 1], other) - metric(chain[:, 1], other)) < 0.02
    assert abs(metrics.lddt(moved[:, 1], other) - metrics.lddt(chain[:, 1], other)) < 1e-9


@few
@given(seed=seeds, length=lengths)
def test_identical_chains_score_one(seed, length):
    ca, (turn, shift) = chain_of(seed, length)[:, 1], move_of(seed)
    moved = ca @ turn.T + shift
    assert abs(metrics.tm_score(moved, ca) - 1.0) < 1e-9
    assert metrics.gdt_ha(moved, ca) == 1.0
    assert metrics.lddt(moved, ca) == 1.0
    assert metrics.rmsd(moved, ca) < 1e-5


@few
@given(seed=seeds, length=lengths)
def test_rmsd_tm_and_gdt_are_symmetric(seed, length):
    one, other = chain_of(seed, length)[:, 1], chain_of(seed + 1, length)[:, 1]
    assert abs(metrics.rmsd(one, other) - metrics.rmsd(other, one)) < 1e-8
    assert abs(metrics.tm_score(one, other) - metrics.tm_score(other, one)) < 0.02
    assert abs(metrics.gdt_ts(one, other) - metrics.gdt_ts(other, one)) < 0.05


@few
@given(seed=seeds, length=st.integers(20, 60))
def test_mirror_image_scores_below_one_but_keeps_its_distances(seed, length):
    ca = chain_of(seed, length)[:, 1]
    mirrored = ca * [-1.0, 1.0, 1.0]
    assert metrics.tm_score(mirrored, ca) < 0.999
    assert metrics.lddt(mirrored, ca) == 1.0
    assert metrics.rmsd(mirrored, ca) > 0.05


@few
@given(seed=seeds, length=lengths)
def test_scores_lie_in_their_range_and_the_search_beats_plain_superposition(seed, length):
    one, other = chain_of(seed, length)[:, 1], chain_of(seed + 1, length)[:, 1]
    laid = metrics.superpose(one, other).coords
    d0 = metrics.tm_d0(length)
    plain = np.mean(1.0 / (1.0 + np.square(laid - other).sum(axis=1) / d0**2))
    found = metrics.tm_score(one, other)
    assert plain - 1e-9 <= found <= 1.0 + 1e-9
    assert 0.0 <= metrics.gdt_ha(one, other) <= metrics.gdt_ts(one, other) <= 1.0


@few
@given(seed=seeds, order=st.permutations([0, 1, 2]))
def test_order_of_chains_changes_no_score_and_no_state(seed, order):
    chains = [chain_of(seed + k, 20)[:, :4] + 25.0 * k for k in range(3)]
    models = [chain + np.random.default_rng(seed).normal(0, 0.5, chain.shape) for chain in chains]
    names = np.repeat(["A", "B", "C"], 20)
    whole = Structure.from_arrays(np.concatenate(chains), chain_ids=names)
    shuffled = Structure.from_arrays(
        np.concatenate([chains[k] for k in order]), chain_ids=np.repeat(np.array(["A", "B", "C"])[order], 20)
    )
    rows = np.concatenate([np.arange(20 * k, 20 * k + 20) for k in order])
    model = np.concatenate(models)[:, 1]
    assert abs(metrics.lddt(model, whole.ca) - metrics.lddt(model[rows], shuffled.ca)) < 1e-12
    assert abs(metrics.rmsd(model, whole.ca) - metrics.rmsd(model[rows], shuffled.ca)) < 1e-8
    states = np.array(list(secondary_structure(whole).states3))
    again = np.array(list(secondary_structure(shuffled).states3))
    # the first N-H of a chain is placed by the residue before it in the file, as in the program: ends may differ
    inner = np.arange(60) % 20 > 1
    assert np.mean((states[rows] == again)[inner]) > 0.95


@few
@given(seed=seeds, length=st.integers(3, 40))
def test_sov_and_q3_of_equal_strings_are_one_and_bounded_otherwise(seed, length):
    generator = np.random.default_rng(seed)
    one, other = ("".join(generator.choice(list("HHHEEC"), length)) for _ in range(2))
    assert metrics.sov(one, one) == metrics.q3(one, one) == metrics.q8(one, one) == 1.0
    assert 0.0 <= metrics.sov(one, other) <= 1.0
