"""The scene graph: what it holds, what it must not know, and what it does not depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.graph import (
    NODE_TYPES,
    SCENE_SPEC,
    join_scene_graphs,
    scene_graph,
    to_scene_frame,
    with_truth,
)
from gnnlib.heads.scene.graphs.graph_edges import EDGE_TYPES
from gnnlib.heads.scene.graphs.graph_features import agent_features, agent_states
from gnnlib.heads.scene.lanemap import Lane, LaneMap, Signal
from gnnlib.heads.scene.maps.lane_graph import NEAR, PREDECESSOR, SUCCESSOR, lane_graph
from gnnlib.heads.scene.problem import Scene
from gnnlib.heads.scene.training.batches import agent_weights, drop_edges, learning_graph
from gnnlib.heads.scene.training.windows import mirrored

STEP = 30


@pytest.fixture(scope="module")
def crossing():
    return generate_scene("intersection", seed=11, num_steps=70)


def straight(speed, start=(0.0, 0.0), steps=40):
    """Positions of a car that drives along x."""
    return np.array(start) + 0.1 * speed * np.arange(steps)[:, None] * [1.0, 0.0]


def assert_same_graph(first, second, tolerance=0.0):
    assert torch.equal(first.edge_index, second.edge_index)
    assert torch.equal(first.edge_type, second.edge_type)
    assert torch.equal(first.node_type, second.node_type)
    assert torch.equal(first.incoming, second.incoming)
    for name in ("x", "edge_attr", "velocity"):
        difference = (getattr(first, name) - getattr(second, name)).abs().max()
        assert difference <= tolerance, name


def test_the_future_does_not_reach_the_features(crossing):
    rng = np.random.default_rng(0)
    xy, heading, velocity = (a.copy() for a in (crossing.xy, crossing.heading_rad, crossing.velocity))
    xy[:, STEP + 1 :] += rng.normal(0.0, 30.0, xy[:, STEP + 1 :].shape)
    heading[:, STEP + 1 :] = rng.uniform(-3, 3, heading[:, STEP + 1 :].shape)
    velocity[:] = rng.normal(0.0, 10.0, velocity.shape)  # recorded velocities are no input at any step
    lights = tuple(
        Signal(s.lane, s.position, np.where(np.arange(70) > STEP, rng.integers(0, 4, 70), s.states))
        for s in crossing.lanes.signals
    )
    other = replace(
        crossing, xy=xy, heading_rad=heading, velocity=velocity, lanes=replace(crossing.lanes, signals=lights)
    )
    assert_same_graph(scene_graph(crossing, at_step=STEP), scene_graph(other, at_step=STEP))


def test_the_past_does_reach_the_features(crossing):
    xy = crossing.xy.copy()
    xy[0, STEP - 3] += 0.5
    row = int(crossing.present_at(STEP)[0])
    xy[row, STEP - 3] += 0.5
    changed = scene_graph(replace(crossing, xy=xy), at_step=STEP)
    assert not torch.equal(changed.x, scene_graph(crossing, at_step=STEP).x)


@pytest.mark.parametrize("angle", [0.7, np.pi, -2.5])
def test_a_moved_and_turned_scene_gives_the_same_graph(crossing, angle):
    moved = crossing.transformed(angle, (1234.0, -567.0))
    assert_same_graph(scene_graph(crossing, at_step=STEP), scene_graph(moved, at_step=STEP), 1e-5)


def test_every_node_and_edge_has_the_type_of_its_ends(crossing):
    graph = scene_graph(crossing, at_step=STEP)
    ends = {
        "agent to agent": (0, 0),
        "lane to agent": (1, 0),
        "agent on lane": (0, 1),
        "control of lane": (2, 1),
        "crossing of lane": (3, 1),
    }
    for number, name in enumerate(EDGE_TYPES):
        chosen = graph.edge_index[:, graph.edge_type == number]
        sender, receiver = ends.get(name, (1, 1))
        assert (graph.node_type[chosen[0]] == sender).all(), name
        assert (graph.node_type[chosen[1]] == receiver).all(), name
    assert set(graph.node_type.tolist()) == set(range(len(NODE_TYPES)))
    assert (graph.edge_index[1].diff() >= 0).all()  # the encoder need not sort
    assert graph.x.shape[1] == SCENE_SPEC.node_dim and graph.edge_attr.shape[1] == SCENE_SPEC.edge_dim
    assert torch.isfinite(graph.x).all() and torch.isfinite(graph.edge_attr).all()


def test_the_table_of_incoming_edges_names_the_edges_of_each_agent(crossing):
    graph = scene_graph(crossing, at_step=STEP)
    for agent in range(len(graph.agent_node)):
        listed = graph.incoming[agent]
        wanted = torch.nonzero(graph.edge_index[1] == graph.agent_node[agent]).squeeze(1)
        assert sorted(listed[listed >= 0].tolist()) == wanted.tolist()


def test_a_leader_is_seen_straight_ahead():
    scene = Scene("two", ("back", "front"), np.stack([straight(10.0), straight(5.0, (20.0, 0.0))]))
    graph = scene_graph(scene, at_step=20)
    edge = int(torch.nonzero((graph.edge_index[0] == 1) & (graph.edge_index[1] == 0)))
    dx, dy, sin, cos = graph.edge_attr[edge, :4].tolist()
    assert dx == pytest.approx((20.0 + 10.0 - 20.0) / 20.0)
    assert (dy, sin, cos) == pytest.approx((0.0, 0.0, 1.0), abs=1e-6)
    closing = graph.edge_attr[edge, 10:13].tolist()
    assert closing == pytest.approx([-0.5, 0.0, 2.0 / 6.0], abs=1e-2)  # 5 m/s slower, 10 m ahead: 2 s


def test_heading_and_velocity_come_from_positions():
    angle = 0.4
    path = straight(8.0)[:20] @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    states = agent_states(path[None], np.array([-3.0]), 0.1)
    assert states.pose[0, 2] == pytest.approx(angle)
    assert states.velocity[0] == pytest.approx([8.0, 0.0])
    assert states.is_moving[0]


def test_a_standing_agent_keeps_its_recorded_heading():
    states = agent_states(np.zeros((2, 20, 2)), np.array([1.2, np.nan]), 0.1)
    assert states.pose[:, 2].tolist() == [1.2, 0.0]
    assert not states.is_moving.any()
    assert (states.velocity == 0.0).all()


def test_steps_at_constant_velocity_leave_no_deviation():
    states = agent_states(straight(7.0)[None, :20], np.zeros(1), 0.1)
    features = agent_features(states, np.array([[4.5, 1.9]]), np.array([0]), 0.1)[0]
    assert np.abs(features[:38]).max() < 1e-9
    assert features[38:57].all()


def test_an_agent_that_came_late_is_there_with_gaps_marked():
    xy = np.stack([straight(10.0), straight(10.0, (0.0, 4.0))])
    xy[1, :17] = np.nan
    graph = scene_graph(Scene("late", ("a", "b"), xy), at_step=20)
    assert len(graph.agent_node) == 2
    assert graph.x[0, 38:57].sum() == 19 and graph.x[1, 38:57].sum() == 3
    assert graph.velocity[1].tolist() == pytest.approx([10.0, 0.0])


def test_an_agent_seen_once_stands():
    xy = straight(10.0)[None].copy()
    xy[0, :20] = np.nan
    graph = scene_graph(Scene("once", ("a",), xy), at_step=20)
    assert graph.velocity.tolist() == [[0.0, 0.0]]
    assert torch.isfinite(graph.x).all()


def test_scenes_without_map_or_agents_have_graphs():
    alone = scene_graph(Scene("alone", ("a",), straight(10.0)[None]), at_step=20)
    assert (alone.num_nodes, alone.num_edges) == (1, 0)
    lanes = LaneMap((Lane(1, [[0, 0], [50, 0]]),))
    nobody = scene_graph(Scene("nobody", (), np.zeros((0, 5, 2)), lanes=lanes))
    assert nobody.num_nodes == 0 and nobody.agent_node.numel() == 0


def test_rows_choose_who_is_predicted_but_not_who_is_seen(crossing):
    rows = crossing.present_at(STEP)[[2, 4]]
    graph, full = scene_graph(crossing, at_step=STEP, rows=rows.tolist()), scene_graph(crossing, at_step=STEP)
    assert graph.row.tolist() == rows.tolist()
    assert torch.equal(graph.x, full.x)
    assert torch.equal(graph.pose, full.pose[[2, 4]])


@pytest.mark.parametrize("step", [-1, 70, 3.5, True])
def test_a_step_outside_the_scene_is_refused(crossing, step):
    with pytest.raises(InputError, match="`at_step` must be a step of the scene, 0 to 69"):
        scene_graph(crossing, at_step=step)


@pytest.mark.parametrize("history", [1, 21])
def test_a_history_out_of_range_is_refused(crossing, history):
    with pytest.raises(InputError, match="`history` must be from 2 to 20"):
        scene_graph(crossing, at_step=STEP, history=history)


def test_rows_of_absent_agents_are_refused():
    xy = straight(10.0)[None].copy()
    xy[0, 20] = np.nan
    with pytest.raises(InputError, match="`rows` must name agents that are present"):
        scene_graph(Scene("gap", ("a",), xy), at_step=20, rows=[0])


def test_lanes_are_cut_into_pieces_that_follow_each_other():
    lanes = LaneMap(
        (
            Lane("a", [[0, 0], [40, 0]], successors=("b",)),
            Lane("b", [[40, 0], [50, 0]], predecessors=("a",)),
            Lane("c", [[0, 3.5], [40, 3.5]]),
        )
    )
    graph = lane_graph(lanes)
    assert graph.length.round(6).tolist() == [13.333333] * 3 + [10.0] + [13.333333] * 3
    assert graph.pose[0].round(6).tolist() == [6.666667, 0.0, 0.0]
    edges = {kind: graph.edge_index[:, graph.relation == kind].T.tolist() for kind in (SUCCESSOR, PREDECESSOR, NEAR)}
    assert sorted(edges[SUCCESSOR]) == [[1, 0], [2, 1], [3, 2], [5, 4], [6, 5]]  # sender follows receiver
    assert sorted(edges[PREDECESSOR]) == [[0, 1], [1, 2], [2, 3], [4, 5], [5, 6]]
    assert [4, 0] in edges[NEAR] and [0, 4] in edges[NEAR]
    assert lane_graph(lanes) is graph  # kept


def test_declared_neighbours_are_told_from_near_lanes():
    lanes = LaneMap(
        (
            Lane(1, [[0, 0], [15, 0]], left_neighbour=2),
            Lane(2, [[0, 3.5], [15, 3.5]], right_neighbour=1),
        )
    )
    graph = lane_graph(lanes)
    pairs = {tuple(pair): int(kind) for pair, kind in zip(graph.edge_index.T.tolist(), graph.relation, strict=True)}
    assert pairs == {(1, 0): 2, (0, 1): 3}  # lane 2 is left of lane 1, lane 1 right of lane 2


def test_a_signal_shows_its_state_at_the_step():
    lanes = LaneMap((Lane(1, [[0, 0], [60, 0]]),), signals=(Signal(1, [0.0, 0.0], [3] * 15 + [1] * 25),))
    scene = Scene("light", ("a",), straight(5.0)[None], lanes=lanes)
    before, after = (scene_graph(scene, at_step=step) for step in (10, 20))
    states = [graph.x[graph.node_type == 2][0] for graph in (before, after)]
    found = [row[row != 0].tolist() for row in states]
    assert found[0][0] == 1.0 and found[1][0] == 1.0
    assert found[1][1] == pytest.approx(0.6 / 3.0)  # red for 6 steps
    assert not torch.equal(*states)


def test_mirroring_twice_changes_nothing_and_once_turns_the_features(crossing):
    twice = mirrored(mirrored(crossing))
    assert_same_graph(scene_graph(crossing, at_step=STEP), scene_graph(twice, at_step=STEP), 1e-6)
    once = scene_graph(mirrored(crossing), at_step=STEP)
    velocity = scene_graph(crossing, at_step=STEP).velocity
    assert torch.allclose(once.velocity, velocity * torch.tensor([1.0, -1.0]), atol=1e-5)


def test_truth_in_the_agents_frame_goes_back_to_the_scene(crossing):
    graph = with_truth(scene_graph(crossing, at_step=STEP), crossing, STEP, 30)
    back = to_scene_frame(graph.truth.double().numpy(), graph.pose.numpy())
    wanted = crossing.xy[graph.row.numpy(), STEP + 1 : STEP + 31]
    assert np.array_equal(np.isnan(back), np.isnan(wanted))
    assert np.nanmax(np.abs(back - wanted)) < 1e-3


def test_joined_graphs_keep_their_edges_apart(crossing):
    first, second = scene_graph(crossing, at_step=STEP), scene_graph(crossing, at_step=STEP + 5)
    both = join_scene_graphs([first, second])
    assert torch.equal(both.edge_index[:, first.num_edges :], second.edge_index + first.num_nodes)
    assert both.agent_node[len(first.agent_node)] == first.num_nodes
    own = both.incoming[len(first.agent_node)]
    assert (both.edge_index[1][own[own >= 0]] == first.num_nodes).all()
    assert both.num_graphs == 2


def test_dropping_edges_keeps_the_table_true(crossing):
    graph = drop_edges(scene_graph(crossing, at_step=STEP), 0.5, np.random.default_rng(0))
    for agent in range(len(graph.agent_node)):
        listed = graph.incoming[agent]
        wanted = torch.nonzero(graph.edge_index[1] == graph.agent_node[agent]).squeeze(1)
        assert sorted(listed[listed >= 0].tolist()) == wanted.tolist()


def test_standing_agents_count_little_and_vanishing_ones_nothing():
    xy = np.stack([straight(10.0, steps=60), straight(0.0, (0, 5), steps=60), straight(8.0, (0, 9), steps=60)])
    xy[2, 23:] = np.nan
    scene = Scene("three", ("drives", "stands", "leaves"), xy)
    assert agent_weights(scene, 20).tolist() == [1.0, 0.1, 0.0]
    graph = learning_graph(scene, 20, np.random.default_rng(0))
    assert graph.row.tolist() == [0, 1]
    assert learning_graph(Scene("parked", ("stands",), xy[1:2]), 20, np.random.default_rng(0)) is None
