from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from PIL import Image

from gnnlib.errors import InputError
from gnnlib.heads.scene.canvas import AGENT_COLOURS, box_corners
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.lanemap import Lane, LaneMap, MapLine, Signal
from gnnlib.heads.scene.plotting import plot_lane_candidates, plot_miss_rate, plot_reliability, plot_scene
from gnnlib.heads.scene.problem import AGENT_TYPES, Prediction, Scene
from gnnlib.style import COLOURS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def scene() -> Scene:
    steps = np.arange(30.0)
    car = np.stack([steps, np.zeros(30)], axis=1)
    late = np.stack([20.0 - steps, np.full(30, 3.0)], axis=1)
    late[:5] = np.nan
    late[12:15] = np.nan
    lanes = LaneMap(
        (Lane(0, [[0, 0], [60, 0]], left=[[0, 2], [60, 2]], right=[[0, -2], [60, -2]]),),
        (np.array([[30.0, -3], [33, -3], [33, 3], [30, 3]]),),
        (Signal(0, [30, 0], [1] * 10 + [3] * 20),),
        (MapLine("stop_sign", [[10, 4]]), MapLine("boundary", [[0, -2], [60, -2]])),
    )
    return Scene("toy", ("car", "late"), np.stack([car, late]), lanes=lanes, ego=0)


@pytest.fixture
def guess(scene: Scene) -> Prediction:
    ahead = np.arange(1, 11.0)
    straight = np.stack([15 + ahead, np.zeros(10)], axis=1)
    bent = straight + np.stack([np.zeros(10), 0.05 * ahead**2], axis=1)
    return Prediction(
        ("car",), np.stack([straight, bent])[None], [[0.8, 0.2]], np.ones((1, 2, 10)), at_step=15, scene=scene
    )


def modes_of(ax: plt.Axes) -> dict[float, np.ndarray]:
    """Predicted lines by their opacity."""
    found = {}
    for part in ax.collections:
        if isinstance(part, LineCollection) and part.get_zorder() == 6:
            for line, colour in zip(part.get_segments(), part.get_colors(), strict=True):
                found[round(float(colour[3]), 3)] = np.asarray(line)
    return found


def test_modes_start_at_the_agent_and_the_likelier_is_more_opaque(scene: Scene, guess: Prediction) -> None:
    modes = modes_of(scene.plot(guess))
    likely, other = modes[max(modes)], modes[min(modes)]
    assert max(modes) > 2.0 * min(modes)
    assert likely[0].tolist() == other[0].tolist() == [15.0, 0.0]
    assert np.allclose(likely[1:], guess.xy[0, 0])
    assert np.allclose(other[1:], guess.xy[0, 1])


def test_truth_of_the_predicted_agent_is_dashed(scene: Scene, guess: Prediction) -> None:
    ax = scene.plot(guess)
    (truth,) = [part for part in ax.collections if isinstance(part, LineCollection) and part.get_zorder() == 7]
    assert np.allclose(truth.get_segments()[0], scene.xy[0, 15:26])


def test_history_is_broken_at_gaps_and_ends_at_the_step(scene: Scene) -> None:
    ax = scene.plot(at_step=20)
    (past,) = [part for part in ax.collections if isinstance(part, LineCollection) and part.get_zorder() == 4]
    lines = [np.asarray(line) for line in past.get_segments()]
    assert sorted(len(line) for line in lines) == [6, 7, 21]
    assert max(line[:, 0].max() for line in lines) == 20.0


def test_only_who_is_present_is_drawn(scene: Scene) -> None:
    boxes = [
        part
        for part in scene.plot(at_step=2).collections
        if isinstance(part, PolyCollection) and part.get_zorder() == 5
    ]
    assert len(boxes[0].get_paths()) == 1
    boxes = [
        part
        for part in scene.plot(at_step=8).collections
        if isinstance(part, PolyCollection) and part.get_zorder() == 5
    ]
    assert len(boxes[0].get_paths()) == 2


def test_signals_show_their_state_of_the_moment(scene: Scene) -> None:
    from matplotlib.colors import to_rgba

    for step, colour in ((0, COLOURS["wrong"]), (20, COLOURS["bound"])):
        (dots,) = [part for part in scene.plot(at_step=step).collections if part.get_zorder() == 3]
        assert np.allclose(dots.get_facecolors()[0], to_rgba(colour))


def test_boxes_have_the_size_and_heading_of_the_agent() -> None:
    one = Scene("one", ("a",), [[[3.0, 4.0]]], heading_rad=[[np.pi / 2]], size=[[4.0, 2.0]])
    corners = box_corners(one, np.array([0]), 0)[0]
    assert sorted(map(tuple, corners.round(6))) == [(2, 2), (2, 6), (4, 2), (4, 6)]


def test_every_agent_type_has_a_colour() -> None:
    assert len(AGENT_COLOURS) == len(AGENT_TYPES)


def test_plot_goes_where_it_is_told_and_says_what_it_shows(scene: Scene, guess: Prediction) -> None:
    _, axes = plt.subplots(1, 2)
    assert scene.plot(ax=axes[1]) is axes[1]
    assert guess.plot(ax=axes[0]) is axes[0]
    text = " ".join(t.get_text() for t in axes[0].texts)
    assert "1.5 s" in text
    assert "2 futures of 1 s" in text
    assert axes[0].get_aspect() == 1.0


@pytest.mark.parametrize("scene_", [Scene("bare", ("a",), [[[1.0, 2.0]]]), Scene("nobody", (), np.zeros((0, 3, 2)))])
def test_scene_without_map_or_agents_is_drawn(scene_: Scene, tmp_path: Path) -> None:
    scene_.plot(at_step=0)
    scene_.animate(tmp_path / "bare.gif", frames=1)
    assert (tmp_path / "bare.gif").read_bytes()[:4] == b"GIF8"


def test_step_outside_and_unknown_agents_are_refused(scene: Scene, guess: Prediction) -> None:
    with pytest.raises(InputError, match="at_step"):
        scene.plot(at_step=30)
    with pytest.raises(InputError, match="no agent 'car'"):
        plot_scene(Scene("bare", ("a",), np.ones((1, 30, 2))), guess)


def test_focus_zooms_in_on_one_agent(scene: Scene) -> None:
    ax = scene.plot(at_step=10, focus="car", radius_m=15.0)
    assert np.allclose([*ax.get_xlim(), *ax.get_ylim()], [-5.0, 25.0, -15.0, 15.0])
    with pytest.raises(InputError, match="'late' is not"):
        scene.plot(at_step=0, focus="late")


def test_candidates_are_drawn_as_lines(scene: Scene) -> None:
    ax = plot_lane_candidates(scene, "car", at_step=10)
    assert len(ax.get_lines()) == 1
    assert ax.get_lines()[0].get_xdata()[0] == 10.0


def test_errors_grow_as_computed_by_hand(scene: Scene, guess: Prediction) -> None:
    best, top = plot_miss_rate(guess).get_lines()
    assert np.allclose(best.get_ydata(), 0.0)
    assert np.allclose(top.get_ydata(), 0.0)
    flipped = Prediction(("car",), guess.xy, [[0.2, 0.8]], guess.scale, at_step=15)
    best, top = plot_miss_rate(flipped, scene).get_lines()
    assert np.allclose(top.get_ydata(), 0.05 * np.arange(1, 11.0) ** 2)
    with pytest.raises(InputError, match="needs the scene"):
        plot_miss_rate(flipped)


def test_honest_probabilities_lie_on_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    share = rng.random(20000)
    line = plot_reliability(share, rng.random(20000) < share, bins=5).get_lines()[1]
    assert np.allclose(line.get_xdata(), line.get_ydata(), atol=0.03)
    with pytest.raises(InputError, match="one shape"):
        plot_reliability([0.5], [True, False])


def test_animation_has_its_frames_at_a_fixed_size(scene: Scene, guess: Prediction, tmp_path: Path) -> None:
    scene.animate(tmp_path / "toy.gif", guess, frames=10)
    with Image.open(tmp_path / "toy.gif") as gif:
        assert gif.n_frames == 10
        assert gif.size[0] == 640
        assert gif.info["duration"] == 300
        pictures = []
        for frame in range(10):
            gif.seek(frame)
            pictures.append(np.asarray(gif.convert("RGB")).astype(int))
    changed = [np.abs(a - b).sum() for a, b in pairwise(pictures)]
    assert min(changed) > 0
    blue = [int(((p[..., 2] - p[..., 0]) > 90).sum()) for p in pictures]
    assert blue[6] > blue[2] + 100  # the futures appear with the step of the prediction


def test_animation_has_no_more_frames_than_steps(tmp_path: Path) -> None:
    generate_scene("street", seed=0, num_steps=3).animate(tmp_path / "s.gif")
    with Image.open(tmp_path / "s.gif") as gif:
        assert gif.n_frames == 3


def test_animation_arguments_are_checked(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.gif"):
        scene.animate(tmp_path / "x.mp4")
    with pytest.raises(InputError, match="frames"):
        scene.animate(tmp_path / "x.gif", frames=0)


def test_importing_the_record_brings_no_matplotlib() -> None:
    import subprocess
    import sys

    code = "import gnnlib.heads.scene.io, gnnlib.heads.scene.problem, sys; print([m for m in ('torch', 'matplotlib', 'pyarrow') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
