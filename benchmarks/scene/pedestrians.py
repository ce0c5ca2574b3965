"""ETH/UCY, leave one recording out, 8 -> 12, best of 20: our model, a model by fold, against sampled constant velocity."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.encoder import Card, load
from gnnlib.heads.scene.metrics import bootstrap_by_scene
from gnnlib.heads.scene.pedestrians import (
    FOLDS,
    best_of,
    fold_crowds,
    predict_crowd,
    sampled_constant_velocity,
    train_fold,
)

if TYPE_CHECKING:
    import argparse

PUBLISHED = {
    "Trajectron++, corrected": {
        "eth": [0.67, 1.18],
        "hotel": [0.18, 0.28],
        "univ": [0.30, 0.54],
        "zara1": [0.25, 0.41],
        "zara2": [0.18, 0.32],
    },
    "AgentFormer, corrected": {
        "eth": [0.45, 0.75],
        "hotel": [0.14, 0.22],
        "univ": [0.25, 0.45],
        "zara1": [0.18, 0.30],
        "zara2": [0.14, 0.24],
    },
}
"""ADE and FDE as their authors state them after fixing faults; windows of other programs may differ a little."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    folder = options.data / "eth_ucy"
    folds: dict[str, Any] = {}
    for fold in FOLDS:
        place = options.runs / "pedestrians" / fold
        if not place.with_suffix(".safetensors").exists():
            started = time.process_time()
            model = train_fold(folder, fold)
            model.card = Card(fold, purpose="pedestrians", seed=0, seconds=time.process_time() - started)
            model.save(place)
        model = load(place)
        crowds = fold_crowds(folder, fold, "test")
        blocks = [f"{crowd.recording}-{number // 20}" for number, crowd in enumerate(crowds) for _ in crowd.xy]
        rows = {
            "gnnlib": np.concatenate([best_of(predict_crowd(model, crowd), crowd) for crowd in crowds]),
            "sampled constant velocity": np.concatenate(
                [best_of(sampled_constant_velocity(crowd, seed=i), crowd) for i, crowd in enumerate(crowds)]
            ),
        }
        folds[fold] = {
            "windows": len(crowds),
            "pedestrians": len(blocks),
            "train_cpu_s": round(model.card.seconds or 0.0, 1) if model.card else None,
            "rows": {
                name: {
                    "ade": [round(float(x), 4) for x in bootstrap_by_scene(errors[:, 0], blocks)],
                    "fde": [round(float(x), 4) for x in bootstrap_by_scene(errors[:, 1], blocks)],
                }
                for name, errors in rows.items()
            },
        }
        print(fold, {name: errors.mean(axis=0).round(3).tolist() for name, errors in rows.items()}, flush=True)
    return {
        "protocol": "8 seen, 12 predicted, 0.4 s, best of 20; intervals by blocks of 20 windows",
        "folds": folds,
        "published": PUBLISHED,
    }
