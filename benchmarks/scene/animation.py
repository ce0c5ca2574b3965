"""Pictures, generator and readers of scenes: seconds for a 50-frame animation, scenes a second, seconds a file."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnlib.heads.scene.api import predict_trajectories
from gnnlib.heads.scene.generate import SCENE_KINDS, generate_scene
from gnnlib.heads.scene.io import read_scene, read_scenes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from gnnlib.heads.scene.problem import Scene


def seconds(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Medians of wall-clock and CPU seconds, after one run that does not count."""
    work()
    wall, cpu = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    return {"wall_s": round(statistics.median(wall), 4), "cpu_s": round(statistics.median(cpu), 4)}


def animations(folder: Path, repeats: int) -> dict[str, Any]:
    """Fifty frames at 640 pixels, with predicted futures, map and signals."""
    figures = {}
    for kind in ("intersection", "highway"):
        scene = generate_scene(kind, seed=2)
        prediction = predict_trajectories(scene, at_step=19)
        target = folder / f"{kind}.gif"

        def draw(scene: Scene = scene, prediction: Any = prediction, target: Path = target) -> None:
            scene.animate(target, prediction, frames=50)

        took = seconds(draw, repeats)
        figures[kind] = {"agents": scene.num_agents, **took, "megabytes": round(target.stat().st_size / 1e6, 2)}
    return figures


def generator(count: int) -> dict[str, Any]:
    """Scenes of 100 steps, which become 160 to 240 with the traffic before the recording."""
    figures = {}
    for kind in SCENE_KINDS:
        generate_scene(kind, seed=0)
        start, busy = time.perf_counter(), time.process_time()
        scenes = [generate_scene(kind, seed=seed) for seed in range(1, count + 1)]
        wall, cpu = time.perf_counter() - start, time.process_time() - busy
        figures[kind] = {
            "agents_present": round(statistics.mean(float(s.valid.sum()) / s.num_steps for s in scenes), 1),
            "scenes_per_wall_s": round(count / wall, 1),
            "scenes_per_cpu_s": round(count / cpu, 1),
        }
    return figures


def readers(data: Path, repeats: int) -> dict[str, Any]:
    """Raw files of the collections; left out when they are not there."""
    raw = data / "raw_samples"
    files: dict[str, Callable[[], Any]] = {}
    for path in sorted(raw.glob("*.xml.gz")):
        files[f"CommonRoad {path.name}"] = lambda path=path: read_scene(path)
    for path in raw.glob("scenario_*.parquet"):
        city = next(raw.glob("log_map_archive_*.json"))
        files["Argoverse 2 scenario and map"] = lambda path=path, city=city: read_scene(path, map_path=city)
    if (data / "womd_tracks.parquet").exists():
        files["table, 81 scenes"] = lambda: list(read_scenes(data / "womd_tracks.parquet", data / "womd_maps.json.gz"))
    return {name: seconds(work, 1 if "81" in name else repeats) for name, work in files.items()}


def run(options: argparse.Namespace) -> dict[str, Any]:
    repeats = 1 if options.quick else 3
    with tempfile.TemporaryDirectory() as folder:
        figures: dict[str, Any] = {"animation_of_50_frames": animations(Path(folder), repeats)}
    figures["generator"] = generator(5 if options.quick else 40)
    figures["readers"] = readers(options.data, repeats)
    figures["load_average"] = round(os.getloadavg()[0], 1)  # above the number of cores, wall-clock seconds say little
    return figures
