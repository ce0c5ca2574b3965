"""Traffic scenes: prediction, latency, pedestrians, closed loop.

    python benchmarks/bench_scene.py                             # everything
    python benchmarks/bench_scene.py --only prediction,latency
    python benchmarks/bench_scene.py --only prediction --model runs/scene/all-0/weights

Each section is a module of the folder ``scene`` with a function ``run(options) -> dict``; its figures go to
``results/scene_<section>.json`` with commit, date, machine and versions. The collections are looked for in the folder
that ``GNNLIB_DATA`` names, else in ``../shared/data``.
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

import record
import torch

SECTIONS = ("prediction", "latency", "pedestrians", "closed_loop", "animation")


def data_folder() -> Path:
    """Return the folder of the scene collections."""
    mirror = os.environ.get("GNNLIB_DATA") or Path(__file__).parents[2] / "shared" / "data"
    return Path(mirror) / "scene"


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmarks of traffic scenes.")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--quick", action="store_true", help="a small part of each section")
    parser.add_argument("--model", type=Path, action="append", default=[], help="further weights to measure")
    parser.add_argument("--runs", type=Path, default=Path("runs/scene"), help="folder for what sections train")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the collections")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only.split(","):
        if name not in SECTIONS:
            parser.error(f"--only takes {', '.join(SECTIONS)}, found {name!r}")
        if not (Path(__file__).parent / "scene" / f"{name}.py").exists():
            print(f"{name}: there is no such section yet")
            continue
        figures = importlib.import_module(f"scene.{name}").run(options)
        path = record.write(f"scene_{name}", {**record.environment("torch", "scipy"), **figures})
        print(f"{name}: wrote {path}")


if __name__ == "__main__":
    main()
