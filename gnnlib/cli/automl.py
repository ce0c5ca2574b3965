"""``gnnlib automl``: a table in, a predictor, its leaderboard and its code out."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gnnlib.cli.console import PICTURE_SUFFIXES, format_table
from gnnlib.errors import InputError
from gnnlib.heads.automl.io import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor

__all__ = ["app", "demo", "fit_file", "predict_file", "recommend_file"]

app = typer.Typer(help="Find, keep and use predictors for tables.", no_args_is_help=True, rich_markup_mode=None)

FEW_VALUES = 20
"""A target of whole numbers with at most so many values is taken for classes."""


@app.command("fit", short_help="Find a predictor for a column of a table.")
def fit_file(
    file: str = typer.Argument(
        metavar="FILE", help="The table: .csv, .csv.gz, .tsv or .parquet, names in its first row."
    ),
    *,
    target: str = typer.Option(metavar="COLUMN", help="The column to predict."),
    time: float = typer.Option(60.0, min=0.0, metavar="SECONDS", help="Wall-clock limit."),
    describe: str = typer.Option("", metavar="TEXT", help="What the table is about, in a sentence."),
    metric: str | None = typer.Option(None, help="log_loss, accuracy, roc_auc, f1, rmse, r2, mae, ..."),
    task: str | None = typer.Option(None, help="classification or regression; default: by the target."),
    jobs: int = typer.Option(1, metavar="N", help="Trials at a time; -1 for one a core."),
    seed: int = typer.Option(0, min=0, help="Seed of all random choices."),
    store: str | None = typer.Option(None, metavar="ADDRESS", help="Experience store, as sqlite:///experience.db."),
    out: Path = typer.Option(Path("model"), metavar="FOLDER", help="Where model, leaderboard, code and figures go."),
) -> None:
    """Search for the pipeline that predicts COLUMN best, until the time is over, and write it to FOLDER.

    Ctrl-C ends the search early and keeps the best so far.

    \b
    Examples:
      gnnlib automl fit churn.csv --target left --time 60 --describe "customers of a telecom" --out model
      gnnlib automl predict model new.csv --out predictions.csv
    """  # noqa: D301 (the mark keeps typer from joining the lines of the examples)
    table = _with_target(read_table(file), target, file)
    _make_folder(out)
    model = _make(task or _guess_task(table[target]), time, describe, metric, jobs, seed, store)
    model.fit(table.drop(columns=[target]), table[target])
    typer.echo(model.result_.summary())
    for path in _write(model, table, target, out):
        typer.echo(f"wrote {path}")


@app.command("predict", short_help="Predict the rows of a table with a kept predictor.")
def predict_file(
    model: Path = typer.Argument(
        metavar="MODEL", help="The folder of `gnnlib automl fit`, or a .joblib file of yours."
    ),
    file: str = typer.Argument(metavar="FILE", help="A table with the same columns; the target may be missing."),
    *,
    out: Path | None = typer.Option(None, metavar="CSV", help="Where predictions go; default: stdout."),
) -> None:
    """Write one prediction a row, and the probability of each class.

    Models are joblib files, which can run code: use those of people you trust only.
    """
    import pandas as pd

    from gnnlib.cli.console import check_target
    from gnnlib.heads.automl.api import load_model

    fitted = load_model(model / "model.joblib" if model.is_dir() else model)
    check_target(out)
    table = read_table(file)
    missing = [name for name in fitted.feature_names_in_ if name not in table.columns]
    if missing:
        raise InputError(f"{file} has no column {', '.join(map(repr, missing[:5]))}, which the model was fitted on")
    X = table[list(fitted.feature_names_in_)]
    found = pd.DataFrame({"prediction": fitted.predict(X)})
    if hasattr(fitted, "classes_"):
        proba = fitted.predict_proba(X)
        found = found.assign(**{f"p({label})": proba[:, i] for i, label in enumerate(fitted.classes_)})
    text = found.to_csv(index=False)
    if out is None:
        typer.echo(text, nl=False)
        return
    with _writing(out):
        out.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {out}")


@app.command("recommend", short_help="Say which pipelines to try on a table, and why, without fitting any.")
def recommend_file(
    file: str = typer.Argument(
        metavar="FILE", help="The table: .csv, .csv.gz, .tsv or .parquet, names in its first row."
    ),
    *,
    target: str = typer.Option(metavar="COLUMN", help="The column to predict."),
    describe: str = typer.Option("", metavar="TEXT", help="What the table is about, in a sentence."),
    count: int = typer.Option(5, "--count", "-k", min=1, metavar="N", help="Number of pipelines."),
    task: str | None = typer.Option(None, help="classification or regression; default: by the target."),
    store: str | None = typer.Option(
        None, metavar="ADDRESS", help="Learn from this store, as sqlite:///experience.db."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    plot: Path | None = typer.Option(None, metavar="PICTURE", help="Write a map of the known data sets."),
) -> None:
    """Recommend N complementary pipelines for the table, best first, and name the known data sets that are like it.

    \b
    Examples:
      gnnlib automl recommend churn.csv --target left --describe "customers of a telecom"
      gnnlib automl recommend churn.csv --target left --json
    """  # noqa: D301 (the mark keeps typer from joining the lines of the examples)
    from gnnlib.cli.console import check_target, print_json
    from gnnlib.heads.automl.experience import ExperienceStore
    from gnnlib.heads.automl.recommend import recommend_pipelines
    from gnnlib.heads.automl.table import TASKS

    check_target(plot, PICTURE_SUFFIXES)
    table = _with_target(read_table(file), target, file)
    table = table[table[target].notna()]
    chosen = task or _guess_task(table[target])
    known = next((name for name in TASKS if name == chosen), None)
    if known is None:
        raise InputError(f"`--task` must be classification or regression, found {task!r}")
    with contextlib.nullcontext() if store is None else ExperienceStore(store) as experience:
        advice = recommend_pipelines(
            table.drop(columns=[target]),
            table[target],
            description=describe or None,
            k=count,
            task=known,
            experience=experience,
        )
    if as_json:
        print_json(advice.to_dict())
    else:
        typer.echo(advice.summary())
    if plot is not None:
        from gnnlib.cli.tsp import save_plot

        save_plot(advice.plot(), plot)
        typer.echo(f"wrote {plot}", err=as_json)


def _with_target(table: pd.DataFrame, target: str, file: str) -> pd.DataFrame:
    if target not in table.columns:
        raise InputError(
            f"the target {target!r} is not a column of {file}; it has {', '.join(map(str, table.columns[:20]))}"
        )
    return table


def _guess_task(target: pd.Series[Any]) -> str:
    import pandas as pd

    present = target.dropna()
    if not pd.api.types.is_numeric_dtype(present.dtype) or pd.api.types.is_bool_dtype(present.dtype):
        return "classification"
    is_whole = bool((present % 1 == 0).all())
    return "classification" if is_whole and present.nunique() <= FEW_VALUES else "regression"


def _make(
    task: str, seconds: float, describe: str, metric: str | None, jobs: int, seed: int, store: str | None
) -> AutoClassifier | AutoRegressor:
    from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor
    from gnnlib.heads.automl.problem import AutoMLParams
    from gnnlib.stop import MaxRuntime

    kinds: dict[str, type[AutoClassifier | AutoRegressor]] = {
        "classification": AutoClassifier,
        "regression": AutoRegressor,
    }
    if task not in kinds:
        raise InputError(f"`--task` must be classification or regression, found {task!r}")
    return kinds[task](
        stop=MaxRuntime(seconds),
        description=describe or None,
        metric=metric,
        seed=seed,
        n_jobs=jobs,
        store=store,
        params=AutoMLParams(progress=sys.stderr.isatty()),
    )


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Name the place where the system does not let a result go."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {place}: {error.strerror or error}") from error


def _make_folder(out: Path) -> None:
    """Make the folder and try to write there, before a minute of search is spent on what could not be kept."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        trial = out / ".gnnlib"
        trial.touch()
        trial.unlink()


def _write(model: AutoClassifier | AutoRegressor, table: pd.DataFrame, target: str, out: Path) -> list[Path]:
    import json

    from gnnlib.cli.tsp import save_plot
    from gnnlib.heads.automl.plotting import plot_anytime, plot_confusion, plot_leaderboard, plot_residuals

    names = ("model.joblib", "leaderboard.csv", "pipeline.py", "result.json", "anytime.png", "leaderboard.png")
    paths = [out / name for name in names]
    with _writing(out):
        model.save(paths[0])
        model.leaderboard_.to_csv(paths[1], index=False)
        model.export_code(paths[2])
        facts = {"target": target, "column_names": [str(name) for name in table.columns if name != target]}
        paths[3].write_text(json.dumps({**facts, **model.result_.to_dict()}, indent=1) + "\n", encoding="utf-8")
        save_plot(plot_anytime(model.result_), paths[4])
        save_plot(plot_leaderboard(model.result_), paths[5])
        if model.result_.num_complete:  # else there is nothing that was predicted out of its fold
            is_classes = hasattr(model, "classes_")
            paths.append(out / ("confusion.png" if is_classes else "residuals.png"))
            save_plot((plot_confusion if is_classes else plot_residuals)(*model.out_of_fold_), paths[-1])
    return paths


def demo(out: Path, *, seconds: float = 10.0) -> None:
    """Fit a table that comes with scikit-learn, in front of the user."""
    from sklearn.datasets import load_wine
    from sklearn.model_selection import train_test_split

    from gnnlib.cli.tsp import save_plot
    from gnnlib.heads.automl.plotting import plot_anytime, plot_confusion, plot_leaderboard

    typer.echo(f"searching pipelines for the wine table for {seconds:g} s ...", err=True)
    frame = load_wine(as_frame=True)
    parts = train_test_split(frame.data, frame.target_names[frame.target], random_state=0, stratify=frame.target)
    X, X_test, y, y_test = parts
    model = _make("classification", seconds, "chemical analysis of wines of three growers", None, 1, 0, None).fit(X, y)
    board = model.leaderboard_.head(5)
    rows = [
        [row.pipeline, f"{row.log_loss:.4f}", f"{row.weight:.2f}", f"{row.fit_s:.2f}"]
        for row in board.itertuples(index=False)
    ]
    typer.echo(
        format_table(["pipeline", "log loss", "weight", "seconds"], rows, numbers=["log loss", "weight", "seconds"])
    )
    typer.echo(f"accuracy on rows not seen: {model.score(X_test, y_test):.3f}\n")
    figures = {
        "automl_anytime.png": plot_anytime(model.result_),
        "automl_leaderboard.png": plot_leaderboard(model.result_),
        "automl_confusion.png": plot_confusion(y_test, model.predict(X_test)),
    }
    for name, axes in figures.items():
        save_plot(axes, out / name)
        typer.echo(f"wrote {out / name}")
