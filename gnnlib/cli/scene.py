"""``gnnlib scene``: predict, animate and simulate a traffic scene that a file holds."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gnnlib.cli.console import PICTURE_SUFFIXES, check_target, format_table, print_json
from gnnlib.cli.tsp import save_plot
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.heads.scene.planning.driving import PolicyLike
    from gnnlib.heads.scene.problem import Prediction, Scene
    from gnnlib.heads.scene.sim import SceneSim

__all__ = ["Method", "Others", "PolicyName", "app", "demo", "load_scene"]

app = typer.Typer(
    help="Traffic scenes: predict where everybody goes, animate, drive in closed loop.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FILE = typer.Argument(
    metavar="FILE",
    help="CommonRoad XML, Argoverse 2 parquet, ScenarioNet-like JSON or NPZ, SUMO FCD, pedestrian text, a parquet table; "
    "or highway, merge, intersection, roundabout, street for a generated scene.",
)
_MAP = typer.Option(None, "--map", metavar="FILE", help="Map, where the format keeps it in a file of its own.")
_NAME = typer.Option(None, metavar="NAME", help="Which scene of a table (default: the first).")
_AT_STEP = typer.Option(None, min=0, metavar="STEP", help="Last observed step (default: 19, or less in a short scene).")
_SEED = typer.Option(0, min=0, help="Seed of a generated scene.")
_JSON = typer.Option(False, "--json", help="Print the result as JSON, and nothing else, on stdout.")


class PolicyName(StrEnum):
    """Who drives in ``gnnlib scene simulate``."""

    planner = "planner"
    idm = "idm"
    constant_velocity = "constant-velocity"
    log = "log"


class Others(StrEnum):
    """How the others move in ``gnnlib scene simulate``: the values of ``others=`` in `gnnlib.SceneSim`."""

    log = "log"
    idm = "idm"
    model = "model"


class Method(StrEnum):
    """What predicts in ``gnnlib scene predict``: the trained model, or six kinematic futures as a baseline."""

    model = "model"
    kinematic = "kinematic"


def load_scene(file: str, map_path: Path | None = None, name: str | None = None, seed: int = 0) -> Scene:
    """Read a scene; where there is no file of that name, generate the kind of scene so called.

    Raises
    ------
    InputError
        If there is neither.
    """
    from gnnlib.heads.scene.generate import SCENE_KINDS, generate_scene
    from gnnlib.heads.scene.io import read_scene

    if Path(file).exists():
        return read_scene(file, map_path=map_path, name=name)
    if file in SCENE_KINDS:
        return generate_scene(file, seed=seed)
    raise InputError(f"there is no file {file!r}; for a generated scene give one of {', '.join(SCENE_KINDS)}")


def _step_of(scene: Scene, at_step: int | None) -> int:
    return min(19, scene.num_steps - 1) if at_step is None else at_step


@app.command("predict", short_help="Predict several futures for everybody.")
def predict(
    file: str = _FILE,
    *,
    map_path: Path | None = _MAP,
    name: str | None = _NAME,
    at_step: int | None = _AT_STEP,
    modes: int = typer.Option(6, min=1, help="Futures for each road user."),
    horizon: int = typer.Option(30, min=1, metavar="STEPS", help="How far ahead."),
    method: Method = typer.Option(Method.model, help="What predicts."),
    seed: int = _SEED,
    plot: Path | None = typer.Option(None, metavar="PICTURE", help="Draw the futures (.png, .pdf, .svg, ...)."),
    as_json: bool = _JSON,
) -> None:
    """Predict where everybody goes, several futures each, with probabilities.

    \b
    Examples:
      gnnlib scene predict intersection --plot futures.png
      gnnlib scene predict USA_US101-3_1_T-1.xml --at-step 20 --json > futures.json
    """  # noqa: D301 (the mark keeps typer from joining the lines of the examples)
    check_target(plot, PICTURE_SUFFIXES)
    scene = load_scene(file, map_path, name, seed)
    prediction = _predict(scene, _step_of(scene, at_step), method, modes, horizon)
    if plot is not None:
        save_plot(scene.plot(prediction), plot)
    if as_json:
        print_json({"scene": scene.name, **prediction.to_dict()})
        return
    typer.echo(prediction.summary() + "\n\n" + _table(scene, prediction))
    if plot is not None:
        typer.echo(f"wrote {plot}")


def _predict(scene: Scene, at_step: int, method: Method, modes: int = 6, horizon: int = 30) -> Prediction:
    if method is Method.kinematic:
        from gnnlib.heads.scene.baselines import kinematic_modes, predict_with

        if modes != 6:
            raise InputError(f"`--method kinematic` has 6 futures, not {modes}")
        return predict_with(kinematic_modes, scene, at_step=at_step, horizon=horizon)
    from gnnlib.heads.scene.api import predict_trajectories

    return predict_trajectories(scene, modes=modes, at_step=at_step, horizon=horizon)


def _table(scene: Scene, prediction: Prediction) -> str:
    """One line for each predicted agent: its type, the probability of its best future and where that ends."""
    from gnnlib.heads.scene.problem import AGENT_TYPES

    head = ["agent", "type", "probability", "x", "y", "unfamiliarity"]
    rows = []
    for row, agent in enumerate(prediction.agents):
        ways, chances = prediction.of(agent)
        strange = "" if prediction.unfamiliarity is None else f"{prediction.unfamiliarity[row]:.2f}"
        kind = AGENT_TYPES[scene.agent_types[scene.row(agent)]]
        rows.append([str(agent), kind, f"{chances[0]:.2f}", f"{ways[0, -1, 0]:.1f}", f"{ways[0, -1, 1]:.1f}", strange])
    ahead = f"x and y in metres: where the most probable future is after {prediction.horizon * prediction.dt:g} s"
    return format_table(head, rows, numbers=head[2:]) + "\n" + ahead


@app.command("animate", short_help="Write an animated GIF.")
def animate(
    file: str = _FILE,
    out: Path = typer.Argument(metavar="GIF", help="Where the animation goes."),
    *,
    map_path: Path | None = _MAP,
    name: str | None = _NAME,
    at_step: int | None = _AT_STEP,
    predict_too: bool = typer.Option(True, "--predict/--no-predict", help="Show predicted futures."),
    method: Method = typer.Option(Method.model, help="What predicts."),
    frames: int = typer.Option(50, min=1, help="Pictures."),
    seed: int = _SEED,
) -> None:
    """Animate a scene with a fixed zoom; from step AT-STEP on with predicted futures.

    \b
    Example:
      gnnlib scene animate roundabout roundabout.gif
    """  # noqa: D301 (the mark keeps typer from joining the lines of the example)
    check_target(out, (".gif",))
    scene = load_scene(file, map_path, name, seed)
    prediction = _predict(scene, _step_of(scene, at_step), method) if predict_too else None
    scene.animate(out, prediction, frames=frames)
    typer.echo(f"wrote {out}")


@app.command("simulate", short_help="Drive one vehicle in closed loop.")
def simulate(
    file: str = _FILE,
    *,
    map_path: Path | None = _MAP,
    name: str | None = _NAME,
    at_step: int | None = _AT_STEP,
    policy: PolicyName = typer.Option(PolicyName.planner, help="Who drives."),
    others: Others = typer.Option(Others.idm, help="How the others move."),
    ego: str | None = typer.Option(None, metavar="ID", help="The driven vehicle (default: chosen from the scene)."),
    seed: int = _SEED,
    plot: Path | None = typer.Option(None, metavar="PICTURE", help="Draw the end of the drive."),
    out: Path | None = typer.Option(None, metavar="GIF", help="Animate the drive."),
    as_json: bool = _JSON,
) -> None:
    """Let a planner drive one vehicle of the scene, and report how it went.

    \b
    Example:
      gnnlib scene simulate merge --policy idm --out drive.gif
    """  # noqa: D301 (the mark keeps typer from joining the lines of the example)
    from gnnlib.heads.scene.sim import SceneSim

    check_target(plot, PICTURE_SUFFIXES)
    check_target(out, (".gif",))
    scene = load_scene(file, map_path, name, seed)
    driven = None if ego is None else _agent_of(scene, ego)
    sim = SceneSim(scene, others=others.value, ego=driven, at_step=at_step)
    report = sim.run(_policy(policy, sim))
    if plot is not None:
        save_plot(report.plot(), plot)
    if out is not None:
        report.scene.animate(out)
    if as_json:
        print_json(report.to_dict())
        return
    typer.echo(report.summary())
    for path in (plot, out):
        if path is not None:
            typer.echo(f"wrote {path}")


def _agent_of(scene: Scene, text: str) -> str | int:
    """Agent whose id reads as `text`; `InputError` when there is none."""
    found = [agent for agent in scene.agents if str(agent) == text]
    return found[0] if found else scene.agents[scene.row(text)]


def _policy(name: PolicyName, sim: SceneSim) -> PolicyLike:
    from gnnlib.heads.scene.planner import RulePlanner
    from gnnlib.heads.scene.policies import ConstantVelocity, IDMPolicy, LogReplay

    if name is PolicyName.planner:
        return RulePlanner("model" if _has_weights() else "constant velocity")
    if name is PolicyName.idm:
        return IDMPolicy()
    return (
        ConstantVelocity() if name is PolicyName.constant_velocity else LogReplay(sim.scene, sim.scene.agents[sim.row])
    )


def _has_weights() -> bool:
    from gnnlib.encoder import list_weights

    return "scene" in list_weights()


def demo(out: Path) -> None:
    """Show a generated intersection with predicted futures, and the planner behind a car that stops suddenly.

    Writes ``intersection.png``, ``intersection.gif`` and ``sudden_stop.gif`` to the folder `out`, which must exist,
    and prints how the drive went.
    """
    from gnnlib.heads.scene.generate import generate_scene
    from gnnlib.heads.scene.sim import SceneSim

    typer.echo("generating traffic (the first time, compiling takes a while) ...", err=True)
    scene = generate_scene("intersection", seed=2)
    prediction = _predict(scene, 19, Method.model if _has_weights() else Method.kinematic)
    picture, animation, drive = out / "intersection.png", out / "intersection.gif", out / "sudden_stop.gif"
    save_plot(scene.plot(prediction, at_step=19), picture)
    scene.animate(animation, prediction)
    sim = SceneSim(generate_scene("highway", seed=4, rare="sudden_stop"), others="log")
    report = sim.run(_policy(PolicyName.planner, sim))
    report.scene.animate(drive)
    typer.echo(prediction.summary() + "\n")
    typer.echo(report.summary() + "\n")
    for path in (picture, animation, drive):
        typer.echo(f"wrote {path}")
