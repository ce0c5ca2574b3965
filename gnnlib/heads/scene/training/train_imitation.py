"""Train the imitation planner; one command makes the weights of one preset, or of all, of which the best is kept.

.. code-block:: text

    python -m gnnlib.heads.scene.training.train_imitation environment --seed 0 --out planner
    python -m gnnlib.heads.scene.training.train_imitation ablation --seed 0 --out gnnlib/weights/scene-planner

The second trains all presets for as many steps each on the same draws, leaves them in the folder of ``--runs``, and writes
to ``--out`` the one that fails least when it drives from pushed starts in the validation scenes.

Learns from generated traffic and the training scenes of NGSIM; see `gnnlib.heads.scene.imitation.IMITATION_PRESETS` for
the presets. The folder of the collections is found through ``--data`` or the environment variable ``GNNLIB_DATA``;
without one (``--data none``) only generated traffic is used.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import torch

from gnnlib.encoder import Card, GraphModel, load, read_card, tune_cpu
from gnnlib.errors import InputError
from gnnlib.heads.scene.generate import SCENE_KINDS, generate_scene
from gnnlib.heads.scene.imitation import ABLATION, IMITATION_PRESETS, ImitationPlanner, build_planner
from gnnlib.heads.scene.planning.scenarios import make_scenario
from gnnlib.heads.scene.training.imitation_data import Augmentation, PlanBatches, PlanScene
from gnnlib.heads.scene.training.validation_drives import failures, pushed_starts
from gnnlib.heads.scene.training.windows import load_split
from gnnlib.stop import MaxRuntime
from gnnlib.training import FitConfig, FitResult, fit
from gnnlib.training.provenance import source_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.scene.planning.imitation_head import PlanGraph
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.stop import StopCriterion

    Drawn = dict[tuple[Augmentation, int, str], dict[int, list[PlanGraph]]]

__all__ = ["Material", "generated_scenes", "main", "train_planner"]

_logger = logging.getLogger(__name__)

#: Seeds of generated scenes: training from 20,000, validation from 30,000; benchmarks use others.
_TRAIN_SEED, _VAL_SEED = 20_000, 30_000
_DRIVES = "closed loop, {} pushed starts of the validation scenes"
_CAUTION = "the rule-based planner drives better"
_RARE = {"highway": "sudden_stop", "street": "sudden_stop", "merge": "sudden_stop"}

_FIT = FitConfig(
    epochs=9,
    batch_size=4,
    learning_rate=2e-3,
    warmup_steps=50,
    weight_decay=0.02,
    clip_norm=2.0,
    ema_decay=0.99,
    final_rate=0.02,
)


def generated_tests(count: int, first_seed: int) -> list[Scene]:
    """Generate scenes like those of the driving tests: a parked car, a slow and a stopping leader, in turn.

    Parameters
    ----------
    count : int >= 0
    first_seed : int
        The tests of the benchmark have other seeds.
    """
    kinds = ("parked_car", "slow_leader", "stopping_leader")
    return [make_scenario(kinds[number % 3], seed=first_seed + number).scene for number in range(count)]


def generated_scenes(count: int, first_seed: int, *, num_steps: int = 90) -> list[Scene]:
    """Generate scenes of all kinds in turn; in two of three highways, merges and streets somebody brakes to a stop.

    Parameters
    ----------
    count : int >= 0
    first_seed : int
    num_steps : int, default 90

    Examples
    --------
    >>> [scene.num_steps for scene in generated_scenes(1, 0, num_steps=40)]
    [40]
    """
    scenes = []
    for number in range(count):
        kind = SCENE_KINDS[number % len(SCENE_KINDS)]
        rare = _RARE.get(kind) if (number // len(SCENE_KINDS)) % 3 else None
        try:
            scenes.append(generate_scene(kind, seed=first_seed + number, num_steps=num_steps, rare=rare))
        except InputError:  # the event finds no place in this traffic
            scenes.append(generate_scene(kind, seed=first_seed + number, num_steps=num_steps))
    return scenes


def _scenes(data: Path | None, split: str, count: int) -> list[PlanScene]:
    recorded = load_split(data, "ngsim", split)[0] if data is not None else []
    seed = _TRAIN_SEED if split == "train" else _VAL_SEED
    return [PlanScene(scene) for scene in recorded + generated_scenes(count, seed) + generated_tests(count // 2, seed)]


class Material(NamedTuple):
    """What planners learn from and are judged by.

    Attributes
    ----------
    train, val : list of PlanScene
    about : str
        For the card.
    drawn : dict
        Keeps what is drawn of the scenes, which presets with the same augmentation share.
    """

    train: list[PlanScene]
    val: list[PlanScene]
    about: str
    drawn: Drawn

    @classmethod
    def load(cls, data: Path | None, generated: int) -> Self:
        """Read the recordings and generate the rest.

        Parameters
        ----------
        data : path, optional
            Folder of the collections; without it only generated scenes.
        generated : int
            Number of generated scenes.
        """
        source = "training scenes of ngsim and " if data is not None else ""
        about = f"{source}{generated} generated scenes and {generated // 2} driving tests (seeds from {_TRAIN_SEED})"
        return cls(_scenes(data, "train", generated), _scenes(data, "val", 15), about, {})


def train_planner(
    model: GraphModel,
    preset: str,
    material: Material,
    *,
    folder: Path,
    seed: int = 0,
    config: FitConfig = _FIT,
    stop: StopCriterion | None = None,
) -> FitResult:
    """Fit a planner by one of the presets.

    Parameters
    ----------
    model : GraphModel
        From `gnnlib.heads.scene.imitation.build_planner`.
    preset : str
        Name in `IMITATION_PRESETS`.
    material : Material
    folder : path
        Gets the checkpoint and the log; a run goes on from a checkpoint that lies there.
    seed : int
    config : FitConfig
        Its loss weights are replaced by those of the preset.
    stop : StopCriterion, optional
        A further limit.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    if preset not in IMITATION_PRESETS:
        raise InputError(f"`preset` must be one of {', '.join(IMITATION_PRESETS)}, found {preset!r}")
    chosen = IMITATION_PRESETS[preset]
    unchanged = replace(chosen.augmentation, drop_imitation=0.0)
    kept = [material.drawn.setdefault((unchanged, seed, part), {}) for part in ("train", "val")]
    folder.mkdir(parents=True, exist_ok=True)
    return fit(
        model,
        PlanBatches(material.train, config.batch_size, chosen.augmentation, seed=seed, drawn=kept[0]),
        val=PlanBatches(material.val, config.batch_size, unchanged, seed=1, stride=20, distinct=1, drawn=kept[1]),
        config=replace(config, loss_weights=dict(chosen.loss_weights)),
        seed=seed,
        stop=stop,
        checkpoint=folder / "checkpoint",
        resume=any(folder.glob("checkpoint*")),
        log=folder / "log.csv",
    )


def imitation_errors(model: GraphModel, val: Sequence[PlanScene]) -> dict[str, float]:
    """Measure open-loop errors on unchanged recordings: mean distance and final distance after 3 s, in m."""
    batches = PlanBatches(val, 4, Augmentation(drop_past=0.0), seed=2, stride=10, distinct=1)
    totals = {"ade": 0.0, "fde": 0.0}
    count = 0.0
    with torch.inference_mode():
        for batch in batches(1):
            weight = float((batch.imitate >= 1.0).sum()) if batch.imitate is not None else 0.0
            for name, value in model.head.metrics(model(batch), batch).items():  # type: ignore[operator]
                totals[name] += float(value) * weight
            count += weight
    return {
        f"open-loop {name} (m, 3 s, validation)": round(value / max(count, 1.0), 4) for name, value in totals.items()
    }


def run(
    preset: str,
    out: Path,
    runs: Path,
    material: Material,
    *,
    seed: int = 0,
    minutes: float | None = None,
    resume: bool = False,
) -> Card:
    """Train, measure on the validation scenes and write one planner; return its card.

    Parameters
    ----------
    preset : str
        Name in `IMITATION_PRESETS`.
    out : path
        Weights and card, without suffix.
    runs : path
        Folder for checkpoint and log.
    material : Material
    seed : int
    minutes : float, optional
        Stop after so long.
    resume : bool
        Go on from the checkpoint, if there is one.
    """
    model = build_planner(seed=seed)
    began = time.process_time()
    folder = runs / f"{preset}-{seed}"
    for old in () if resume else folder.glob("checkpoint*"):
        old.unlink()
    stop = None if minutes is None else MaxRuntime(60.0 * minutes)
    result = train_planner(model, preset, material, folder=folder, seed=seed, stop=stop)
    cpu_s = time.process_time() - began
    model.eval()
    metrics = {key: round(value, 4) for key, value in result.best.items() if key.startswith("val/")}
    cases = pushed_starts([item.scene for item in material.val], seed=_VAL_SEED)
    driven = failures(ImitationPlanner(model), cases) if cases else {}
    metrics |= {f"{_DRIVES.format(len(cases))}: {name}": value for name, value in driven.items()}
    metrics |= imitation_errors(model, material.val) | {"CPU seconds of the training": round(cpu_s, 1)}
    model.card = Card(
        out.name,
        purpose=f"plans the next 3 s of a vehicle in traffic by imitation (preset {preset}); {_CAUTION}",
        command=f"python -m {__spec__.name} {preset} --seed {seed} --out {out.as_posix()}",
        data=material.about,
        seed=seed,
        seconds=round(result.seconds, 1),
        machine=f"{platform.machine()}, {torch.get_num_threads()} thread(s)",
        date=datetime.now(UTC).date().isoformat(),
        commit=source_commit(),
        metrics=metrics,
    )
    model.save(out)
    return model.card


def ship_best(paths: Sequence[Path], out: Path, command: str) -> Card:
    """Copy the weights whose card tells of the fewest failures in the validation drives; return the new card.

    Parameters
    ----------
    paths : sequence of path
        Weights, without suffix; of equals the first is taken.
    out : path
        Where to, without suffix.
    command : str
        For the card.
    """

    def failed(path: Path) -> float:
        return next(value for name, value in read_card(path).metrics.items() if name.endswith(": failed"))

    model = load(min(paths, key=failed))
    if model.card is None:
        raise InputError("weights without a card cannot be shipped")
    model.card = replace(model.card, name=out.name, command=command)
    model.save(out)
    return model.card


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    from gnnlib.heads.scene.train import data_folder

    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="Train the imitation planner.")
    parser.add_argument("preset", choices=[*IMITATION_PRESETS, "ablation"], help="what to learn from, or all")
    parser.add_argument("--out", type=Path, required=True, help="weights and card to write, without suffix")
    parser.add_argument("--data", help="folder of the collections, or none")
    parser.add_argument("--runs", type=Path, default=Path("runs/scene-planner"), help="folder for checkpoint and log")
    parser.add_argument("--seed", type=int, default=0, help="of parameters and order")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--generated", type=int, default=100, help="number of generated scenes")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tune_cpu()
    torch.set_num_threads(1)
    data = None if chosen.data == "none" else data_folder(Path(chosen.data) if chosen.data else None)
    material = Material.load(data, chosen.generated)
    options = {name: getattr(chosen, name) for name in ("seed", "minutes", "resume")}
    if chosen.preset == "ablation":
        paths = [chosen.runs / f"{preset}-{chosen.seed}" for preset in ABLATION]
        for preset, path in zip(ABLATION, paths, strict=True):
            _report(run(preset, path, chosen.runs, material, **options))
        command = f"python -m {__spec__.name} ablation --seed {chosen.seed} --out {chosen.out.as_posix()}"
        _report(ship_best(paths, chosen.out, command))
    else:
        _report(run(chosen.preset, chosen.out, chosen.runs, material, **options))
    return 0


def _report(card: Card) -> None:
    _logger.info("%s: %s", card.name, card.purpose)
    for name, value in card.metrics.items():
        _logger.info("%s: %g", name, value)


if __name__ == "__main__":
    sys.exit(main())
