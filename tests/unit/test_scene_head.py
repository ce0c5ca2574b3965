"""The trajectory head: shapes, polynomials, distances, losses, and what makes it learn."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BPoly

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphTensors
from gnnlib.heads.scene.decode import (
    calibrate,
    choose_modes,
    conformal_factors,
    region_scores,
    state_statistics,
    unfamiliarity,
)
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.graph import SCENE_SPEC, join_scene_graphs, scene_graph, with_truth
from gnnlib.heads.scene.head import (
    Trajectories,
    TrajectoryHead,
    bernstein_basis,
    displacements,
    incoming_edges,
    trajectory_losses,
    trajectory_metrics,
)
from gnnlib.testing import assert_save_load_identity


def small_model(seed=0):
    torch.manual_seed(seed)
    return GraphModel(Encoder([SCENE_SPEC], width=16, depth=1, seed=seed), TrajectoryHead(16))


@pytest.fixture(scope="module")
def graph():
    scene = generate_scene("intersection", seed=4, num_steps=70)
    return with_truth(scene_graph(scene, at_step=25), scene, 25, 30)


def test_the_basis_is_that_of_scipy():
    basis = bernstein_basis(30, 7).numpy()
    at = np.arange(1, 31) / 30
    for column in range(7):
        weights = np.zeros((8, 1))
        weights[column + 1] = 1.0
        assert basis[:, column] == pytest.approx(BPoly(weights, [0, 1])(at), abs=1e-6)


def test_output_has_six_modes_and_a_guess(graph):
    output = small_model()(graph)
    agents = len(graph.agent_node)
    assert output.path.shape == output.log_scale.shape == (agents, 7, 30, 2)
    assert output.logit.shape == (agents, 6)


def test_a_head_without_corrections_goes_straight_on(graph):
    model = small_model()
    with torch.no_grad():
        model.head.path.weight.zero_()
        model.head.path.bias.zero_()
        path = model(graph).path
    assert torch.allclose(path[:, :, -1], 3.0 * graph.velocity[:, None].expand(-1, 7, -1), atol=1e-5)


def test_a_batch_gives_what_its_graphs_give(graph):
    scene = generate_scene("roundabout", seed=5, num_steps=70)
    other = with_truth(scene_graph(scene, at_step=30), scene, 30, 30)
    model = small_model().eval()
    with torch.no_grad():
        together = model(join_scene_graphs([graph, other]))
        apart = [model(graph), model(other)]
    for name in ("path", "log_scale", "logit"):
        expected = torch.cat([getattr(output, name) for output in apart])
        assert torch.allclose(getattr(together, name), expected, atol=1e-4), name


def test_plain_graphs_without_a_table_are_read_too():
    torch.manual_seed(0)
    plain = GraphTensors(
        torch.randn(5, SCENE_SPEC.node_dim),
        torch.tensor([[0, 1, 2, 4], [1, 0, 0, 3]]),
        torch.randn(4, SCENE_SPEC.edge_dim),
        node_type=torch.tensor([0, 0, 1, 0, 1]),
        edge_type=torch.zeros(4, dtype=torch.int64),
    )
    assert small_model()(plain).path.shape[0] == 3


def test_the_model_survives_saving(tmp_path):
    assert_save_load_identity(small_model())


def test_dropout_is_for_training_only(graph):
    torch.manual_seed(0)
    model = GraphModel(Encoder([SCENE_SPEC], width=16, depth=1), TrajectoryHead(16, dropout=0.5))
    model.train()
    assert not torch.equal(model(graph).path, model(graph).path)
    model.eval()
    assert torch.equal(model(graph).path, model(graph).path)


def test_incoming_edges_are_listed_by_receiver():
    assert incoming_edges(torch.tensor([1, 0, 1, 3]), 4).tolist() == [[1, -1], [0, 2], [-1, -1], [3, -1]]


def test_distances_leave_unknown_steps_out():
    path = torch.zeros(1, 2, 3, 2)
    path[0, 1] = torch.tensor([[0.0, 3.0], [0.0, 4.0], [0.0, 100.0]])
    truth = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [torch.nan, torch.nan]]])
    average, final = displacements(path, truth)
    assert average[0].tolist() == pytest.approx([0.0, 3.5], abs=1e-4)
    assert final[0].tolist() == pytest.approx([0.0, 4.0], abs=1e-4)


def made_up(path, truth):
    """Trajectories with the given modes [K, T, 2]; the guess is the first mode."""
    modes = torch.tensor(path, dtype=torch.float32)[None]
    full = torch.cat([modes, modes[:, :1]], dim=1)
    graph = GraphTensors(torch.zeros(1, 1), torch.zeros(2, 0, dtype=torch.int64))
    graph.truth = torch.tensor(truth, dtype=torch.float32)[None]
    output = Trajectories(full, torch.zeros_like(full), torch.zeros(1, len(path)), torch.zeros(1, 2))
    return output, graph


def test_only_the_nearest_mode_is_drawn_to_the_truth():
    output, graph = made_up([[[1.0, 0.0]], [[5.0, 0.0]]], [[0.0, 0.0]])
    output.path.requires_grad_()
    losses = trajectory_losses(output, graph)
    assert losses["distance"].item() == pytest.approx(1.0, abs=1e-4)
    assert losses["mode"].item() == pytest.approx(1.0 + 2 * np.log(2.0), abs=1e-4)
    losses["distance"].backward()
    assert output.path.grad[0, 0, 0, 0] == pytest.approx(1.0)
    assert not output.path.grad[0, 1].any()


def test_the_choice_prefers_the_nearer_mode():
    output, graph = made_up([[[0.1, 0.0]], [[5.0, 0.0]]], [[0.0, 0.0]])
    output.logit.requires_grad_()
    trajectory_losses(output, graph)["choice"].backward()
    assert output.logit.grad[0, 0] < 0.0 < output.logit.grad[0, 1]


def test_metrics_count_a_miss_beyond_two_metres():
    output, graph = made_up([[[2.5, 0.0]], [[0.0, 3.0]]], [[0.0, 0.0]])
    found = trajectory_metrics(output, graph)
    assert found["miss_rate"] == 1.0
    assert found["min_fde"] == pytest.approx(2.5, abs=1e-4)


def test_the_density_is_that_of_the_mixture_at_each_step():
    output, graph = made_up([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 3.0], [5.0, 0.0]]], [[0.0, 0.0], [torch.nan, torch.nan]])
    output.logit = torch.log(torch.tensor([[0.25, 0.75]]))
    density = 0.25 * np.exp(-1.0) / 4.0 + 0.75 * np.exp(-3.0) / 4.0  # product of two Laplace densities of scale 1
    assert trajectory_losses(output, graph)["density"].item() == pytest.approx(-np.log(density), abs=1e-4)


def test_weights_decide_who_counts():
    first, graph = made_up([[[1.0, 0.0]]], [[0.0, 0.0]])
    both = Trajectories(*(torch.cat([part, part]) for part in (first.path, first.log_scale, first.logit, first.state)))
    graph.truth = torch.cat([graph.truth, graph.truth + torch.tensor([9.0, 0.0])])
    graph.weight = torch.tensor([1.0, 0.0])
    assert trajectory_losses(both, graph)["distance"].item() == pytest.approx(1.0, abs=1e-4)
    graph.truth[0] = torch.nan  # nobody is left
    assert trajectory_losses(both, graph)["distance"].item() == 0.0


def test_a_few_steps_bring_the_losses_down(graph):
    model = small_model()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    history = []
    for _ in range(25):
        loss = sum(model.losses(model(graph), graph).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    assert all(p.grad is not None for p in model.head.parameters())
    assert history[-1] < 0.7 * history[0]


def test_learning_without_truth_is_refused(graph):
    bare = scene_graph(generate_scene("merge", seed=1, num_steps=30), at_step=20)
    with pytest.raises(InputError, match="truth"):
        small_model().losses(small_model()(bare), bare)


def test_fewer_modes_are_the_most_probable_ones():
    output = Trajectories(
        torch.arange(4.0).reshape(1, 4, 1, 1).expand(1, 4, 2, 2),
        torch.zeros(1, 4, 2, 2),
        torch.log(torch.tensor([[0.1, 0.6, 0.3]])),
        torch.zeros(1, 1),
    )
    path, _, probability = choose_modes(output, 2, is_covering=False)
    assert path[0, :, 0, 0].tolist() == [1.0, 2.0]
    assert probability[0].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert choose_modes(output, 1)[0][0, 0, 0, 0] == 3.0  # the best guess, not a mode
    with pytest.raises(InputError, match="`modes` must be an integer from 1 to 3, found 4"):
        choose_modes(output, 4)


def test_conformal_regions_hold_what_they_promise():
    rng = np.random.default_rng(1)
    scores = rng.gamma(2.0, size=(4000, 3))
    factors = conformal_factors(scores[:500])
    assert (scores[500:] <= factors).mean(axis=0) == pytest.approx([0.9] * 3, abs=0.03)
    few = conformal_factors(np.array([[1.0], [2.0]]))
    assert few.tolist() == [2.0]
    with pytest.raises(InputError, match="none at step 1"):
        conformal_factors(np.array([[1.0, np.nan]]))


def test_region_scores_take_the_nearest_mode_in_units_of_its_spread():
    path = np.array([[[[0.0, 0.0]], [[10.0, 0.0]]]])
    scale = np.array([[[[3.0, 4.0]], [[0.3, 0.4]]]])
    assert region_scores(path, scale, np.array([[[5.0, 0.0]]]))[0, 0] == pytest.approx(1.0)
    assert np.isnan(region_scores(path, scale, np.full((1, 1, 2), np.nan)))[0, 0]


def test_states_far_from_training_are_unfamiliar():
    torch.manual_seed(0)
    states = torch.randn(500, 16) @ torch.randn(16, 16)
    model = small_model()
    centre, whitening = state_statistics(states)
    model.head.state_centre.copy_(centre)
    model.head.state_whitening.copy_(whitening)
    none = torch.zeros(500, 7, 30, 2)

    def score(values):
        return unfamiliarity(Trajectories(none, none, torch.zeros(500, 6), values), model)

    assert score(states).mean() == pytest.approx(1.0, abs=0.1)
    assert score(3.0 * states).mean() > 2.0
    assert unfamiliarity(Trajectories(none, none, torch.zeros(500, 6), states), small_model()) is None


def test_calibration_fills_the_buffers(graph):
    model = small_model()
    complete = ~torch.isnan(graph.truth).any(dim=(1, 2))
    assert complete.any()
    calibrate(model, [graph], [graph])
    assert (model.head.region_factor > 0).all()
    assert model.head.state_whitening.any()
