"""Sequence graphs, the heads that read them, the loaders and the verbs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gnnlib.encoder import Encoder, GraphModel, list_weights
from gnnlib.errors import InputError
from gnnlib.heads.protein.baselines_sequence import (
    MajorityStates,
    WindowLookup,
    hydrophobic_contacts,
    separation_contacts,
)
from gnnlib.heads.protein.graphs.sequence_graph import (
    HALF_WINDOW,
    OFFSETS,
    SEQUENCE_SPEC,
    join_sequences,
    sequence_graph,
)
from gnnlib.heads.protein.networks.pair_head import DISTANCE_EDGES, INPUTS, PairHead, PairScores, pad_residues
from gnnlib.heads.protein.networks.sequence_head import ResidueScores, SequenceHead, marginal_log3
from gnnlib.heads.protein.residues import sequence_indices
from gnnlib.heads.protein.sequence_models import predict_distances, secondary_structure_of_sequence
from gnnlib.heads.protein.sequences import (
    STATES3_OF_8,
    LabelledSequence,
    cb513_relatives,
    held_out_relatives,
    load_sequences,
)
from gnnlib.heads.protein.training.pair_data import choose_given, upper_bounds
from gnnlib.heads.protein.training.sequence_data import CropBatches, ResidueRecord, burial_counts, cb_positions

_DATA = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data") / "protein"
needs_data = pytest.mark.skipif(not (_DATA / "ss").is_dir(), reason="needs the protein data (set GNNLIB_DATA)")
needs_weights = pytest.mark.skipif("protein-sequence" not in list_weights(), reason="weights are not in this checkout")

_RANDOM = np.random.default_rng(0)


def _letters(count: int) -> np.ndarray:
    return _RANDOM.integers(0, 21, count)


def _pair_model(**options: object) -> GraphModel:
    torch.manual_seed(0)
    encoder = Encoder([SEQUENCE_SPEC], width=16, depth=2, edge_width=8, sharing="hard")
    return GraphModel(encoder, PairHead(16, 8, (1, 2), **options)).eval()


def _record(count: int, name: str = "toy") -> ResidueRecord:
    states = _RANDOM.integers(-1, 8, count)
    torsions = _RANDOM.uniform(-3, 3, (count, 2)).astype(np.float32)
    torsions[0, 0] = np.nan
    states3 = np.where(states < 0, -1, STATES3_OF_8[states])
    return ResidueRecord(name, _letters(count), states, states3, torsions, _RANDOM.random(count).astype(np.float32))


def test_edges_join_residues_at_the_offsets_and_no_others():
    graph = sequence_graph(_letters(40))
    steps = (graph.edge_index[0] - graph.edge_index[1]).tolist()
    assert {abs(step) for step in steps} == set(OFFSETS)
    assert len(steps) == 2 * sum(40 - step for step in OFFSETS)
    assert (graph.edge_index[1][1:] >= graph.edge_index[1][:-1]).all()


def test_the_type_of_an_edge_tells_its_step():
    graph = sequence_graph(_letters(30))
    steps = (graph.edge_index[0] - graph.edge_index[1]).numpy()
    by_type = {kind: set(steps[graph.edge_type.numpy() == kind].tolist()) for kind in range(2 * len(OFFSETS))}
    assert all(len(found) == 1 for found in by_type.values())
    assert len({next(iter(found)) for found in by_type.values()}) == 2 * len(OFFSETS)


def test_features_are_the_letters_of_the_window():
    letters = _letters(20)
    x = sequence_graph(letters).x.view(20, 2 * HALF_WINDOW + 1, 22)
    assert (x.sum(-1) == 1).all()
    for residue in (0, 7, 19):
        for step in (-HALF_WINDOW, -1, 0, 2):
            place = residue + step
            expected = letters[place] if 0 <= place < 20 else 21
            assert int(x[residue, step + HALF_WINDOW].argmax()) == expected


def test_joined_chains_are_read_as_if_alone():
    chains = [_letters(count) for count in (31, 1, 12)]
    model = _pair_model()
    with torch.no_grad():
        together = model(join_sequences(chains))
        for number, chain in enumerate(chains):
            alone = model(sequence_graph(chain))
            first = sum(map(len, chains[:number]))
            size = len(chain)
            torch.testing.assert_close(together.residue.logit8[first : first + size], alone.residue.logit8)
            torch.testing.assert_close(together.contact[number, :size, :size], alone.contact[0])
            torch.testing.assert_close(together.distance[number, :size, :size], alone.distance[0])


@pytest.mark.parametrize("bad", [[], [21], [-1]])
def test_residues_out_of_range_are_refused(bad):
    with pytest.raises(InputError):
        sequence_graph(bad)


def test_pair_scores_are_symmetric():
    with torch.no_grad():
        scores = _pair_model()(sequence_graph(_letters(25)))
    torch.testing.assert_close(scores.contact, scores.contact.transpose(1, 2))
    torch.testing.assert_close(scores.distance, scores.distance.transpose(1, 2))
    assert scores.distance.shape[-1] == len(DISTANCE_EDGES) + 1


@pytest.mark.parametrize("left_out", INPUTS)
def test_an_input_that_is_left_out_does_not_count(left_out):
    model = _pair_model(inputs=[name for name in INPUTS if name != left_out])
    graph = sequence_graph(_letters(30))
    with torch.no_grad():
        before = model(graph).contact
        if left_out == "structure":
            model.head.residue.read.bias.add_(torch.randn(13))
        elif left_out == "position":
            model.head.separation.weight[3:] = 9.0
        else:
            graph.residues = graph.residues.flip(0)
        after = model(graph).contact
    torch.testing.assert_close(before, after)


def test_given_distances_change_the_scores():
    model, graph = _pair_model(), sequence_graph(_letters(20))
    with torch.no_grad():
        before = model(graph).contact
        graph.given = torch.zeros(1, 20, 20)
        graph.given[0, 2, 15] = graph.given[0, 15, 2] = 6.0
        graph.upper = torch.from_numpy(upper_bounds(graph.given[0].double().numpy())).float()[None]
        assert not torch.allclose(before, model(graph).contact)


def test_losses_vanish_for_a_perfect_answer_and_skip_unknown_labels():
    record = _record(40)
    graph = next(CropBatches([record], batch_residues=100)(1))
    known = record.states8 >= 0
    logit8 = torch.full((40, 8), -50.0)
    logit8[np.flatnonzero(known), record.states8[known]] = 50.0
    angle = torch.from_numpy(record.torsions).nan_to_num()
    torsion = torch.stack([angle[:, 0].sin(), angle[:, 0].cos(), angle[:, 1].sin(), angle[:, 1].cos()], dim=1)
    scores = ResidueScores(logit8, torsion, torch.from_numpy(record.burial))
    losses = SequenceHead(16).losses(scores, graph)
    assert all(float(value) < 1e-6 for value in losses.values())
    assert SequenceHead(16).metrics(scores, graph) == {"q8": 1.0, "q3": 1.0}


def test_three_state_labels_teach_the_sum_of_the_eight():
    record = _record(10)
    only3 = ResidueRecord("a", record.residues, np.full(10, -1), np.zeros(10, int), record.torsions, record.burial)
    graph = next(CropBatches([only3], batch_residues=100)(1))
    scores = ResidueScores(torch.zeros(10, 8), torch.zeros(10, 4), torch.zeros(10))
    assert float(SequenceHead(16).losses(scores, graph)["states"]) == pytest.approx(-np.log(3 / 8), abs=1e-5)


def test_three_state_probabilities_sum_to_one():
    assert marginal_log3(torch.randn(50, 8)).exp().sum(-1).numpy() == pytest.approx(np.ones(50), abs=1e-5)


@torch.no_grad()
def test_pair_losses_ignore_given_pairs():
    model = _pair_model()
    positions = np.cumsum(_RANDOM.normal(size=(20, 3)) * 2.2, axis=0)
    graph = sequence_graph(_letters(20))
    graph.ca = graph.cb = torch.from_numpy(positions).float()
    scores = model(graph)
    off = PairScores(scores.residue, scores.distance.detach().clone(), scores.contact.detach().clone())
    off.contact[0, 1, 10] = off.contact[0, 10, 1] = 40.0 * (
        1 if np.linalg.norm(positions[1] - positions[10]) > 8 else -1
    )
    assert float(model.losses(off, graph)["contact"]) > float(model.losses(scores, graph)["contact"]) + 0.1
    graph.given = torch.zeros(1, 20, 20)
    graph.given[0, 1, 10] = graph.given[0, 10, 1] = 5.0
    same = model.losses(scores, graph)["contact"], model.losses(off, graph)["contact"]
    assert float(same[0]) == pytest.approx(float(same[1]))


def test_padding_puts_rows_where_they_belong():
    inside = torch.tensor([[True, True, True], [True, False, False]])
    padded = pad_residues(torch.arange(8.0).view(4, 2), inside)
    assert padded.tolist() == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [0, 0], [0, 0]]]


def test_upper_bounds_hold_for_real_distances():
    points = np.cumsum(_RANDOM.normal(size=(30, 3)), axis=0)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1, keepdims=True)
    points = np.vstack([points[:1], points[:1] + np.cumsum(np.diff(points, axis=0) / steps * 3.8, axis=0)])
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    given = np.where(choose_given(30, 0.1, _RANDOM), distances, 0.0)
    bounds = upper_bounds(given)
    near = np.abs(np.subtract.outer(np.arange(30), np.arange(30))) != 2  # a random walk may be straighter than a chain
    assert (bounds + 0.35 * 30 >= distances)[near].all()
    assert (bounds[given > 0] <= given[given > 0] + 1e-9).all()


def test_a_share_of_the_pairs_is_given():
    mask = choose_given(60, 0.05, np.random.default_rng(1))
    assert (mask == mask.T).all()
    assert not mask.diagonal().any()
    assert mask.sum() // 2 == int(0.05 * 60 * 59 / 2)


def test_burial_counts_what_a_loop_counts():
    points = _RANDOM.normal(size=(40, 3)) * 8
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    assert burial_counts(points) * 20 == pytest.approx((distances <= 10).sum(axis=1) - 1)


def test_crops_cover_chains_and_repeat_with_the_seed():
    records = [_record(count) for count in (30, 300, 90, 700)]
    batches = CropBatches(records, batch_residues=300, crop=128, seed=3)
    graphs = list(batches(1))
    assert len(graphs) == len(batches)
    assert sum(graph.num_graphs for graph in graphs) == 1 + 3 + 1 + 6
    assert all(int(graph.lengths.max()) <= 128 for graph in graphs)
    again = list(batches(1))
    assert all(torch.equal(a.residues, b.residues) for a, b in zip(graphs, again, strict=True))
    assert any(
        a.residues.shape != b.residues.shape or not torch.equal(a.residues, b.residues)
        for a, b in zip(graphs, batches(2), strict=True)
    )


def test_ideal_cb_stands_in_for_a_missing_one():
    from gnnlib.heads.protein.geometry import build_backbone

    backbone = build_backbone(np.full(12, -60.0), np.full(12, -45.0))
    full = np.full((12, 5, 3), np.nan)
    full[:, : backbone.shape[1]] = backbone
    full[:, 4] = np.nan
    ideal = cb_positions(full)
    trace = np.full((12, 5, 3), np.nan)
    trace[:, 1] = full[:, 1]
    off = np.linalg.norm(cb_positions(trace) - ideal, axis=1)[1:-1]
    assert off.max() < 0.8  # the mirror image would be 2 angstrom away


def test_lookup_finds_the_state_of_a_window_it_has_seen():
    chains = [LabelledSequence("a", _letters(60), _RANDOM.integers(0, 8, 60), np.zeros(60, int)) for _ in range(3)]
    table = WindowLookup(chains, neighbours=1)
    assert (table.predict(chains[1].residues) == chains[1].states8).mean() > 0.95
    majority = MajorityStates.fit(chains)
    assert majority.state8 == np.bincount(np.concatenate([chain.states8 for chain in chains])).argmax()


def test_trivial_contact_scores_are_symmetric():
    for rank in (separation_contacts, hydrophobic_contacts):
        scores = rank(_letters(20))
        assert (scores == scores.T).all()
    assert separation_contacts(_letters(5))[0, 4] == -4


def test_relatives_of_cb513_are_named():
    assert {name: len(cb513_relatives(name)) for name in ("cb6133filtered", "flip", "chains", "cb513")} == {
        "cb6133filtered": 195,
        "flip": 358,
        "chains": 290,
        "cb513": 321,
    }
    with pytest.raises(InputError, match="cb513"):
        cb513_relatives("nothing")


@needs_data
def test_public_sets_are_read_whole():
    test = load_sequences("cb513")
    assert (len(test), sum(map(len, test))) == (514, 84_765)
    counts = np.bincount(np.concatenate([row.states8 for row in test]), minlength=8)
    assert counts.tolist() == [26157, 1181, 18016, 3132, 30, 10013, 8316, 17920]
    names = {row.name for row in test}
    assert cb513_relatives("cb513") <= names
    train = load_sequences("cb6133filtered")
    assert len(train) == 5534
    assert held_out_relatives("cb6133filtered") <= {row.name for row in train}


@needs_data
def test_flip_without_its_test_part_has_three_states():
    rows = load_sequences("flip")
    assert len(rows) == 9712 + 1080
    assert all((row.states8 == -1).all() for row in rows)
    assert {int(state) for row in rows[:50] for state in row.states3} == {-1, 0, 1, 2}


def test_an_unknown_set_is_refused():
    with pytest.raises(InputError, match="cb6133filtered"):
        load_sequences("cb514")


@needs_weights
def test_a_helix_former_is_predicted_as_helix():
    found = secondary_structure_of_sequence("GS" + "EELLKKALELAKKL" * 2 + "GS")
    assert found.method == "sequence"
    assert found.states3.count("H") > 15
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(32))


@needs_weights
def test_predicted_distances_are_a_symmetric_map_with_a_trace():
    sequence = "MKVLAEGWTPRSNDQHIKLVFYCAEELLKKALE"
    found = predict_distances(sequence)
    assert (found.distances == found.distances.T).all()
    assert (found.distances.diagonal() == 0).all()
    assert found.distogram.sum(axis=-1) == pytest.approx(np.ones((33, 33)))
    assert np.isfinite(found.coords).all()
    assert 0.0 <= found.reliability <= 1.0
    assert "the fold is NOT known" in found.verdict
    again = predict_distances(sequence)
    assert (again.coords == found.coords).all()


@needs_weights
def test_given_distances_are_kept_and_complete_the_fold():
    from gnnlib.heads.protein.geometry import build_backbone

    truth = build_backbone(np.full(40, -57.0), np.full(40, -47.0))[:, 1]
    distances = np.linalg.norm(truth[:, None] - truth, axis=-1)
    known = choose_given(40, 0.3, np.random.default_rng(0))
    found = predict_distances("A" * 40, distances=np.where(known, distances, np.nan))
    assert found.num_given == known.sum() // 2
    assert found.distances[known] == pytest.approx(distances[known])
    assert np.abs(found.distances - distances).mean() < 2.5  # without the given ones it is far more
    blind = predict_distances("A" * 40).distances
    assert np.abs(blind - distances).mean() > 2 * np.abs(found.distances - distances).mean()


@needs_weights
@pytest.mark.parametrize(
    ("sequence", "distances", "words"),
    [
        ("", None, "at least one"),
        ("MKV1A", None, "'1'"),
        ("M", None, "2 to 1000"),
        ("A" * 1001, None, "2 to 1000"),
        ("MKV", np.ones((2, 2)), r"\[3, 3\]"),
        ("MKV", np.array([[0, 4, -1], [4, 0, 4], [-1, 4, 0.0]]), "positive"),
        ("MKV", np.array([[0, 4, 5], [4, 0, 4], [6, 4, 0.0]]), "symmetric"),
    ],
)
def test_bad_input_is_named(sequence, distances, words):
    with pytest.raises(InputError, match=words):
        predict_distances(sequence, distances=distances)


@needs_weights
def test_the_sequence_of_a_structure_is_what_counts():
    from gnnlib.heads.protein.problem import Structure

    chain = Structure.from_arrays(np.cumsum(np.full((20, 3), 2.2), axis=0), "EELLKKALELAKKLGSGSGS")
    by_structure = secondary_structure_of_sequence(chain).probabilities
    assert by_structure == pytest.approx(secondary_structure_of_sequence(chain.sequence).probabilities)
    assert (sequence_indices(chain.sequence) >= 0).all()
