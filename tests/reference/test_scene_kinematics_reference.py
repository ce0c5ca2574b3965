"""The closed form of the bicycle against scipy's integration of its differential equation, and on real vehicles."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gnnlib.heads.scene.kinematics import controls_to_poses, redrive

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data") / "scene"


@pytest.mark.parametrize("seed", range(4))
def test_the_closed_form_solves_the_differential_equation(seed):
    rng = np.random.default_rng(seed)
    controls = np.column_stack([rng.uniform(-3, 20, 8), rng.uniform(-0.6, 0.6, 8)])
    poses = controls_to_poses([1, 2, 0.5], controls, wheelbase_m=2.9, dt=0.2)
    state = np.array([1, 2, 0.5])
    for (speed, steering), expected in zip(controls, poses[1:], strict=True):

        def motion(_, pose, speed=speed, steering=steering):
            return [speed * np.cos(pose[2]), speed * np.sin(pose[2]), speed * np.tan(steering) / 2.9]

        state = solve_ivp(motion, (0, 0.2), state, rtol=1e-10, atol=1e-12).y[:, -1]
        assert np.allclose(state, expected, atol=1e-7)


@pytest.mark.skipif(not (MIRROR / "ngsim_tracks.parquet").exists(), reason=f"no recordings below {MIRROR}")
def test_recorded_vehicles_are_nearly_bicycles():
    from gnnlib.heads.scene.io_table import read_scenes

    names = [
        name for name, part in json.loads((MIRROR / "splits.json").read_text())["ngsim"].items() if part == "train"
    ]
    residuals = []
    for scene in read_scenes(MIRROR / "ngsim_tracks.parquet", MIRROR / "ngsim_maps.json.gz", names=names[:6]):
        for row in range(scene.num_agents):
            steps = np.flatnonzero(scene.valid[row])[:31]
            if len(steps) == 31 and steps[-1] - steps[0] == 30:
                path, heading = scene.xy[row, steps], scene.heading_rad[row, steps]
                residuals.append(redrive(path, heading, length_m=scene.size[row, 0], dt=scene.dt).residual_m[-1])
    assert len(residuals) > 50
    assert np.median(residuals) < 0.1
    assert np.quantile(residuals, 0.95) < 0.6
