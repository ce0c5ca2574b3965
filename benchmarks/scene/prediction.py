"""Open-loop prediction: 2 s seen, 3 s to come, on the test scenes of four collections; our models and simple answers.

Whatever is measured predicts the same vehicles from the same past. Intervals come from drawing whole scenes.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.stats import rankdata

from gnnlib.encoder import GraphModel, load
from gnnlib.errors import GnnlibError
from gnnlib.heads.scene.api import predict_trajectories
from gnnlib.heads.scene.baselines import BASELINES, Ridge
from gnnlib.heads.scene.baselines_learned import HiVTLike, VectorNetLike
from gnnlib.heads.scene.decode import choose_modes, unfamiliarity
from gnnlib.heads.scene.generate import RARE_EVENTS, generate_scene, generate_with_event
from gnnlib.heads.scene.graph import SceneGraph, scene_graph, to_scene_frame
from gnnlib.heads.scene.metrics import (
    bootstrap_by_scene,
    collisions,
    displacement_errors,
    infeasible,
    laplace_nll,
    off_road,
    reliability,
)
from gnnlib.heads.scene.train import load_windows
from gnnlib.heads.scene.training.windows import FUTURE, PAST, SOURCES, SceneWindow

if TYPE_CHECKING:
    import argparse

    from gnnlib.heads.scene.head import Trajectories

NOTE = (
    "The six modes of every network, the learned baselines included, are moved by `coverage.cover`; the rows that say so "
    "show them as the network gives them."
)

BASELINE_NETWORKS = {"VectorNet-like": VectorNetLike, "HiVT-like": HiVTLike}
METRICS = ("min_ade", "min_fde", "missed", "brier_min_fde")


class Answer(NamedTuple):
    """Modes [A, K, T, 2] and probabilities [A, K]; for our models scales, headings and the best single guess too."""

    xy: np.ndarray
    probability: np.ndarray
    scale: np.ndarray | None = None
    heading: np.ndarray | None = None
    guess: np.ndarray | None = None
    radius: np.ndarray | None = None
    unfamiliarity: np.ndarray | None = None


def past_of(window: SceneWindow) -> np.ndarray:
    return window.scene.xy[window.rows, window.start : window.start + PAST]


def simple(baseline: Any, window: SceneWindow) -> Answer:
    return Answer(*baseline(past_of(window), window.scene.dt, FUTURE))


@torch.inference_mode()
def heard(model: Any, graphs: list[SceneGraph]) -> list[Trajectories]:
    """Return what a network says of each window's graph."""
    return [model(graph) for graph in graphs]


def answer(model: Any, graph: SceneGraph, output: Trajectories, *, is_covering: bool = True) -> Answer:
    path, scale, probability = choose_modes(output, output.logit.shape[1], is_covering=is_covering)
    guess, _, _ = choose_modes(output, 1)
    pose = graph.pose.numpy()
    factor = model.head.region_factor.double().numpy() if isinstance(model, GraphModel) else np.zeros(FUTURE)
    radius = np.hypot(scale[..., 0], scale[..., 1]) * factor
    return Answer(
        to_scene_frame(path, pose),
        probability,
        scale,
        pose[:, 2],
        to_scene_frame(guess, pose)[:, 0],
        radius,
        unfamiliarity(output, model) if isinstance(model, GraphModel) else None,
    )


def auroc(unusual: np.ndarray, usual: np.ndarray) -> float | None:
    """Chance that an unusual case scores higher than a usual one."""
    if not len(unusual) or not len(usual):
        return None
    ranks = rankdata(np.concatenate([unusual, usual]))[: len(unusual)]
    return round(float((ranks.mean() - 0.5 * (len(unusual) + 1)) / len(usual)), 4)


def ordinary_and_rare(number: int) -> tuple[list[Any], list[Any]]:
    """Ordinary scenes with the step to predict at, and scenes with a rare event, the step and the agents concerned."""
    usual, rare = [], []
    for name, kinds in RARE_EVENTS.items():
        for seed in range(number):
            kind = kinds[seed % len(kinds)]
            usual.append((generate_scene(kind, seed=60_000 + seed, num_steps=60), 30))
            try:
                scene, event = generate_with_event(kind, seed=70_000 + seed, num_steps=60, rare=name)
            except GnnlibError:  # nobody could do it on this road
                continue
            if event is not None:
                rare.append((name, scene, min(event.step + 10, 59), (event.doer, event.concerned)))
    return usual, rare


def warning_signal(model: GraphModel, scenes: tuple[list[Any], list[Any]]) -> dict[str, float | None]:
    """How well the unfamiliarity tells agents in rare events, 1 s after they began, from agents of ordinary scenes."""
    usual, rare = scenes
    ordinary = np.concatenate([predict_trajectories(s, at_step=step, model=model).unfamiliarity for s, step in usual])
    unusual = {name: [] for name in RARE_EVENTS}
    for name, scene, step, agents in rare:
        prediction = predict_trajectories(scene, at_step=step, model=model)
        concerned = [prediction.agents.index(agent) for agent in agents if agent in prediction.agents]
        unusual[name].extend(prediction.unfamiliarity[concerned].tolist())
    return {name: auroc(np.array(values), ordinary) for name, values in unusual.items()}


def summary(values: np.ndarray, scenes: list[str]) -> list[float]:
    return [round(float(x), 4) for x in bootstrap_by_scene(values, scenes)]


def measure(answers: list[Answer], windows: list[SceneWindow]) -> dict[str, Any]:
    truth = np.concatenate([window.truth for window in windows])
    scenes = [window.scene.name for window in windows for _ in window.rows]
    xy = np.concatenate([answer.xy for answer in answers])
    probability = np.concatenate([answer.probability for answer in answers])
    row: dict[str, Any] = {"modes": xy.shape[1]}
    errors = displacement_errors(xy, truth, probability)
    for name in METRICS:
        row[name] = summary(getattr(errors, name), scenes)
    top = displacement_errors(xy, truth, probability, k=1)
    row["top1_ade"], row["top1_fde"] = summary(top.min_ade, scenes), summary(top.min_fde, scenes)
    row["top1_missed"] = summary(top.missed, scenes)
    here = np.concatenate([past_of(window)[:, -1] for window in windows])
    chosen = xy[np.arange(len(xy)), probability.argmax(axis=1)]
    row["infeasible"] = round(float(infeasible(chosen, here, 0.1).mean()), 4)
    if answers[0].guess is not None:
        guess = displacement_errors(np.concatenate([a.guess for a in answers])[:, None], truth)
        row["guess_ade"], row["guess_fde"] = summary(guess.min_ade, scenes), summary(guess.min_fde, scenes)
        row["guess_missed"] = summary(guess.missed, scenes)
        scale, heading = (np.concatenate([getattr(a, name) for a in answers]) for name in ("scale", "heading"))
        row["nll"] = summary(laplace_nll(xy, scale, probability, truth, heading), scenes)
        curve = reliability(probability, xy, truth)
        row["calibration_error"] = round(curve.error, 4)
        row["reliability"] = [np.round(part, 4).tolist() for part in curve[:3]]
        inside = np.hypot(*np.moveaxis(xy - truth[:, None], -1, 0)) <= np.concatenate([a.radius for a in answers])
        row["coverage"] = round(float(inside.any(axis=1).mean()), 4)
        if answers[0].unfamiliarity is not None:
            score = np.concatenate([a.unfamiliarity for a in answers])
            row["unfamiliarity"] = np.round(np.quantile(score, [0.1, 0.5, 0.9]), 3).tolist()
            row["auroc_of_misses"] = auroc(score[errors.missed > 0], score[errors.missed == 0])
        row["miss_by_step"] = [
            round(float((np.hypot(*np.moveaxis(xy[:, :, t] - truth[:, None, t], -1, 0)).min(1) > 2.0).mean()), 4)
            for t in range(4, FUTURE, 5)
        ]
    return row


def joint(model: GraphModel, windows: list[SceneWindow]) -> dict[str, float]:
    """Off-road and collision rates of the most likely futures of all agents together, and of what happened."""
    counts = {name: [0, 0, 0] for name in ("off_road", "collision")}
    for window in windows:
        scene, step = window.scene, window.at_step
        prediction = predict_trajectories(scene, at_step=step, model=model)
        rows = scene.present_at(step)
        heading = scene.heading_rad[rows, step]
        top = prediction.most_likely
        future = scene.xy[rows, step + 1 : step + 1 + FUTURE]
        known = ~np.isnan(future).any(axis=(1, 2))
        counted = np.isin(rows, window.rows)
        here = scene.xy[rows, step]
        found = (
            collisions(top, scene.size[rows], heading, here)[counted],
            np.isin(rows[known], window.rows)
            & collisions(future[known], scene.size[rows][known], heading[known], here[known]),
        )
        counts["collision"] = [
            a + b for a, b in zip(counts["collision"], (found[0].sum(), found[1].sum(), counted.sum()), strict=True)
        ]
        if len(scene.lanes):
            on = counted.copy()
            on[counted] = ~off_road(here[counted][:, None], scene.lanes)
            if on.any():
                left = (off_road(top[on], scene.lanes).sum(), off_road(future[on], scene.lanes).sum(), on.sum())
                counts["off_road"] = [a + b for a, b in zip(counts["off_road"], left, strict=True)]
    rates = {}
    for name, (predicted, true, number) in counts.items():
        rates[name] = round(float(predicted / max(number, 1)), 4)
        rates[f"{name}_of_truth"] = round(float(true / max(number, 1)), 4)
    return rates


def learned(options: argparse.Namespace) -> dict[str, Any]:
    """Models by name: the shipped one, further weights, and the learned baselines that have been trained."""
    models: dict[str, Any] = {}
    for path in ["scene", *map(str, options.model)]:
        try:
            model = load(path)
        except Exception as error:
            print(f"{path}: not measured ({error})")
            continue
        name = "gnnlib, shipped weights" if path == "scene" else f"gnnlib, {Path(path).parent.name}"
        models[name] = model
    for label, kind in BASELINE_NETWORKS.items():
        for path in sorted(options.runs.glob(f"{kind.__name__}-*/weights.safetensors")):
            network = kind()
            network.load_state_dict(load_file(path), strict=False)
            models[f"{label}, seed {path.parent.name.rsplit('-', 1)[1]}"] = network.eval()
    return models


def trainings(options: argparse.Namespace) -> dict[str, Any]:
    """Epochs, losses and wall seconds of the runs whose logs lie beside the weights."""
    folders = {f"gnnlib, {path.parent.name}": path.parent for path in options.model}
    for label, kind in BASELINE_NETWORKS.items():
        for path in sorted(options.runs.glob(f"{kind.__name__}-*/weights.safetensors")):
            folders[f"{label}, seed {path.parent.name.rsplit('-', 1)[1]}"] = path.parent
    found = {}
    for name, folder in folders.items():
        if (folder / "log.csv").exists():
            with (folder / "log.csv").open(encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            losses = [key.removeprefix("train/") for key in rows[-1] if key.startswith("train/")]
            found[name] = {
                "epochs": int(rows[-1]["epoch"]),
                "losses": [loss for loss in losses if loss != "loss"],
                "wall_s": round(float(rows[-1]["seconds"])),
            }
    return found


def run(options: argparse.Namespace) -> dict[str, Any]:
    train = load_windows(options.data, tuple(SOURCES), "train")
    future = np.concatenate([window.truth for window in train])
    ridge = Ridge().fit(np.concatenate([past_of(window) for window in train]), future)
    models = learned(options)
    sources: dict[str, Any] = {}
    for source in SOURCES:
        windows = load_windows(options.data, (source,), "test")
        windows = windows[:10] if options.quick else windows
        rows = {
            name: measure([simple(baseline, window) for window in windows], windows)
            for name, baseline in [*BASELINES.items(), ("ridge", ridge)]
        }
        graphs = [scene_graph(w.scene, at_step=w.at_step, rows=w.rows.tolist()) for w in windows]
        for name, model in models.items():
            pairs = list(zip(graphs, heard(model, graphs), strict=True))
            rows[name] = measure([answer(model, *pair) for pair in pairs], windows)
            if isinstance(model, GraphModel):
                rows[name] |= joint(model, windows)
            plain = measure([answer(model, *pair, is_covering=False) for pair in pairs], windows)
            rows[f"{name} (modes as the network gives them)"] = plain
            print(source, name, rows[name]["min_ade"][0], rows[name]["min_fde"][0], rows[name]["missed"][0], flush=True)
        number = sum(len(window.rows) for window in windows)
        sources[source] = {"windows": number, "scenes": len({w.scene.name for w in windows}), "rows": rows}
    scenes = ordinary_and_rare(4 if options.quick else 30)
    warnings = {name: warning_signal(model, scenes) for name, model in models.items() if isinstance(model, GraphModel)}
    cards = {name: vars(m.card) if isinstance(m, GraphModel) and m.card else None for name, m in models.items()}
    return {
        "protocol": "2 s seen, 3 s predicted, 10 Hz; [mean, low, high] by scene bootstrap",
        "note": NOTE,
        "sources": sources,
        "cards": cards,
        "trainings": trainings(options),
        "untrained": [label for label in BASELINE_NETWORKS if not any(name.startswith(label) for name in models)],
        "auroc_of_rare_events": warnings,
    }
