from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.errors import GnnlibError, InputError
from gnnlib.heads.scene.generate import SCENE_KINDS, generate_scene
from gnnlib.heads.scene.io import read_scene, read_scenes, write_scenes
from gnnlib.heads.scene.lanes import lane_candidates
from gnnlib.heads.scene.maps.polylines import arc_lengths, headings, offset_line, project
from gnnlib.heads.scene.problem import Scene, headings_from_past, wrap_angle

pytest.importorskip("pyarrow")


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    agents, steps = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    xy = np.cumsum(rng.normal(size=(agents, steps, 2)), axis=1) + rng.uniform(-500, 500, size=(agents, 1, 2))
    xy[rng.random((agents, steps)) < draw(st.sampled_from([0.0, 0.3]))] = np.nan
    xy[:, 0], xy[:, -1] = rng.uniform(-500, 500, size=(2, agents, 2))
    ids = tuple(range(agents)) if draw(st.booleans()) else tuple(f"n{i}" for i in range(agents))
    return Scene(
        "random",
        ids,
        xy,
        agent_types=rng.integers(0, 8, size=agents),
        heading_rad=np.where(np.isnan(xy[..., 0]), np.nan, rng.uniform(-3, 3, size=(agents, steps))),
        size=rng.uniform(0.3, 12.0, size=(agents, 2)),
        velocity=np.where(np.isnan(xy), np.nan, rng.normal(size=xy.shape)),
        ego=draw(st.sampled_from([None, 0])),
    )


@given(scenes())
@settings(max_examples=25, deadline=None)
def test_written_scenes_are_read_back(scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "t.parquet"), Path(folder, "m.json")
        write_scenes([scene], *files)
        (back,) = read_scenes(*files)
    assert (back.name, back.agents, back.ego, back.dt) == (scene.name, scene.agents, scene.ego, scene.dt)
    for name in ("xy", "heading_rad", "velocity", "agent_types"):
        assert np.array_equal(getattr(back, name), getattr(scene, name), equal_nan=name != "agent_types")
    assert np.allclose(back.size, scene.size, rtol=1e-12)


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_generated_maps_are_read_back(kind: str, tmp_path: Path) -> None:
    scene = generate_scene(kind, seed=4, num_steps=12)
    write_scenes([scene], tmp_path / "t.parquet", tmp_path / "m.json.gz")
    back = read_scene(tmp_path / "t.parquet", map_path=tmp_path / "m.json.gz").lanes
    assert [lane.id for lane in back.lanes] == [lane.id for lane in scene.lanes.lanes]
    for mine, other in zip(back.lanes, scene.lanes.lanes, strict=True):
        assert np.allclose(mine.centre, other.centre, atol=6e-4)
        assert (mine.kind, mine.successors, mine.predecessors) == (other.kind, other.successors, other.predecessors)
        assert (mine.left_neighbour, mine.right_neighbour) == (other.left_neighbour, other.right_neighbour)
        assert mine.speed_limit == pytest.approx(other.speed_limit)
    assert len(back.crossings) == len(scene.lanes.crossings)
    assert [line.kind for line in back.lines] == [line.kind for line in scene.lanes.lines]
    for signal, other_signal in zip(back.signals, scene.lanes.signals, strict=True):
        assert np.array_equal(signal.states, other_signal.states)


def test_two_scenes_of_one_name_are_not_written(tmp_path: Path) -> None:
    scene = Scene("twice", ("a",), np.zeros((1, 2, 2)))
    with pytest.raises(InputError, match="'twice' twice"):
        write_scenes([scene, scene], tmp_path / "t.parquet", tmp_path / "m.json")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_order_of_lines_in_a_text_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = [f"{10 * t} {i} {rng.normal() * 9:.3f} {rng.normal() * 9:.3f}" for t in range(6) for i in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "walk.txt")
        path.write_text("\n".join(lines))
        first = read_scene(path)
        path.write_text("\n".join(lines[i] for i in rng.permutation(len(lines))))
        second = read_scene(path)
    assert first.agents == second.agents
    assert np.array_equal(first.xy, second.xy)


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused_with_an_error_of_ours(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any")
        path.write_bytes(content)
        try:
            read_scene(path)
        except GnnlibError as error:
            assert "any" in str(error)


@given(scenes(), st.integers(1, 11))
@settings(max_examples=40, deadline=None)
def test_headings_and_velocities_do_not_see_the_future(scene: Scene, cut: int) -> None:
    cut = min(cut, scene.num_steps)
    early = headings_from_past(scene.xy[:, :cut])
    assert np.array_equal(early, headings_from_past(scene.xy)[:, :cut], equal_nan=True)
    past = Scene("cut", scene.agents, scene.xy[:, :cut]).past_velocity()
    assert np.array_equal(past, scene.past_velocity()[:, :cut], equal_nan=True)


@given(scenes(), st.floats(-7.0, 7.0), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
@settings(max_examples=40, deadline=None)
def test_moving_a_scene_keeps_distances_and_speeds(scene: Scene, turn: float, x: float, y: float) -> None:
    moved = scene.transformed(turn, (x, y))
    for step in range(scene.num_steps):
        before = np.linalg.norm(scene.xy[:, None, step] - scene.xy[None, :, step], axis=-1)
        after = np.linalg.norm(moved.xy[:, None, step] - moved.xy[None, :, step], axis=-1)
        assert np.allclose(before, after, atol=1e-8, equal_nan=True)
    assert np.allclose(np.linalg.norm(scene.velocity, axis=-1), np.linalg.norm(moved.velocity, axis=-1), equal_nan=True)
    change = wrap_angle(moved.heading_rad - scene.heading_rad - turn)
    assert np.allclose(np.nan_to_num(change), 0.0, atol=1e-9)


@given(st.integers(0, 50), st.floats(-3.0, 3.0))
@settings(max_examples=10, deadline=None)
def test_lane_candidates_move_with_the_scene(seed: int, turn: float) -> None:
    scene = generate_scene("intersection", seed=seed, num_steps=30)
    moved = scene.transformed(turn, (40.0, -70.0))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    for row in scene.present_at(20)[:4]:
        ours = lane_candidates(scene, scene.agents[row], at_step=20)
        theirs = lane_candidates(moved, scene.agents[row], at_step=20)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert np.allclose(a @ rotation.T + (40.0, -70.0), b, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(-0.8, 0.8))
@settings(max_examples=40, deadline=None)
def test_points_beside_a_line_are_projected_back(seed: int, left: float) -> None:
    rng = np.random.default_rng(seed)
    angle = np.cumsum(rng.normal(scale=0.02, size=80))
    line = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0)
    along, beside = project(line, offset_line(line, left)[1:-1])
    assert np.allclose(along, arc_lengths(line)[1:-1], atol=0.06)
    assert np.allclose(beside, left, atol=1e-2)
    assert np.allclose(headings(line), np.unwrap(headings(line)), atol=2 * np.pi)
