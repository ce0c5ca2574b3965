"""AutoML end to end: gnnlib, the static portfolio, default learners and peers on pool tables, same core, same stop.

    python benchmarks/bench_automl.py --tables vehicle,kin8nm --seconds 10,30 --splits 2 --minutes 14

Every run is a process of its own and is appended to ``results/automl.json`` at once, so that the script can be stopped
and started again; runs that are there are not repeated, and several copies with stops of their own may run at once, each on a core
of its own (``taskset``). Peers that this Python lacks are run with the one that the
environment variable ``GNNLIB_PEERS_PYTHON`` names; those that neither has are listed as missing.
Score: AUC for two classes, log loss for more, RMSE for numbers; all systems are told so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import record

if TYPE_CHECKING:
    from gnnlib.heads.automl.pipelines import Pipeline

DATA = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[2] / "shared" / "data") / "automl"
NAME = "automl"
TABLES = (
    "eucalyptus",
    "islr_oj",
    "modeldata_stackoverflow",
    "hypothyroid",
    "pendigits",
    "modeldata_concrete",
    "modeldata_ames",
    "aer_nmes1988",
)
"""Chosen before any result was seen, from families of which nothing is in the portfolio's source."""

SYSTEMS = ("gnnlib", "portfolio", "flaml", "autogluon", "lightgbm", "histgb", "forest")
NEEDS = {
    "flaml": "from flaml import AutoML",
    "autogluon": "import autogluon.tabular",
    "lightgbm": "import lightgbm",
}
BUDGETED = ("gnnlib", "portfolio", "flaml", "autogluon")
KILL_FACTOR = 6.0


def load(table: str) -> tuple[Any, Any, dict[str, Any]]:
    import pandas as pd

    index = json.loads((DATA / "datasets_index.json").read_text())
    entry = next(item for item in index if item["name"] == table)
    frame = pd.read_csv(DATA / entry["file"])
    y = frame.pop(entry["target"])
    for column in entry["categorical"]:
        if column in frame:
            frame[column] = frame[column].astype(object).where(frame[column].notna(), None)
            frame[column] = frame[column].map(lambda v: v if v is None else str(v))
    if entry["task"] == "classification":
        y = y.astype(str)
    kept = y.notna()
    return frame[kept].reset_index(drop=True), y[kept].reset_index(drop=True), entry


def split(table: str, number: int) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
    from sklearn.model_selection import train_test_split

    X, y, entry = load(table)
    labels = y if entry["task"] == "classification" else None
    if labels is not None and labels.value_counts().min() < 2:  # a class of one row cannot be on both sides
        kept = y.map(y.value_counts()) >= 2
        X, y = X[kept].reset_index(drop=True), y[kept].reset_index(drop=True)
        labels = y
    parts = train_test_split(X, y, test_size=0.25, random_state=10_000 + number, stratify=labels)
    return (*parts, entry)


def metric_of(task: str, num_classes: int) -> str:
    if task == "regression":
        return "rmse"
    return "roc_auc" if num_classes == 2 else "log_loss"


def fit_gnnlib(X: Any, y: Any, entry: dict[str, Any], seconds: float, metric: str, *, is_static: bool) -> Any:
    from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor
    from gnnlib.heads.automl.portfolio import static_portfolio
    from gnnlib.heads.automl.problem import AutoMLParams
    from gnnlib.stop import AnyOf, MaxRuntime, MaxTrials

    kind = AutoClassifier if entry["task"] == "classification" else AutoRegressor
    if is_static:  # the shipped list alone, its best member alone: what a table of past results gives without a search
        start: list[Pipeline] = static_portfolio(entry["task"])
        stop: Any = AnyOf(MaxRuntime(seconds), MaxTrials(len(start)))
        model = kind(stop=stop, metric=metric, seed=0, params=AutoMLParams(start=tuple(start), max_members=1))
    else:
        model = kind(stop=MaxRuntime(seconds), metric=metric, description=entry["description"], seed=0)
    model.fit(X, y)
    return model


def fit_flaml(X: Any, y: Any, entry: dict[str, Any], seconds: float, metric: str) -> Any:
    from flaml import AutoML

    model = AutoML()
    X = X.copy()
    for column in X.columns:
        if X[column].dtype == object:
            X[column] = X[column].astype("category")
    model.fit(X, y, task=entry["task"], time_budget=seconds, metric=metric, n_jobs=1, seed=0, verbose=0)
    return model


class Gluon:
    """AutoGluon behind fit and predict."""

    def __init__(self, X: Any, y: Any, entry: dict[str, Any], seconds: float, metric: str) -> None:
        import tempfile

        from autogluon.tabular import TabularPredictor

        kind = "regression" if entry["task"] == "regression" else ("binary" if y.nunique() == 2 else "multiclass")
        name = {"rmse": "root_mean_squared_error"}.get(metric, metric)
        frame = X.assign(__y=y)
        self.predictor = TabularPredictor(
            "__y", problem_type=kind, eval_metric=name, path=tempfile.mkdtemp(), verbosity=0
        )
        self.predictor.fit(frame, time_limit=seconds, num_cpus=1, num_gpus=0)
        self.classes_ = None if kind == "regression" else self.predictor.class_labels

    def predict(self, X: Any) -> Any:  # noqa: D102
        return self.predictor.predict(X).to_numpy()

    def predict_proba(self, X: Any) -> Any:  # noqa: D102
        return self.predictor.predict_proba(X)[self.classes_].to_numpy()


def fit_default(system: str, X: Any, y: Any, entry: dict[str, Any]) -> Any:
    """Fit a learner with its default settings behind ordinal codes and medians."""
    import numpy as np
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    is_classes = entry["task"] == "classification"
    if system == "lightgbm":
        import lightgbm

        model: Any = (lightgbm.LGBMClassifier if is_classes else lightgbm.LGBMRegressor)(
            random_state=0, n_jobs=1, verbose=-1
        )
    elif system == "histgb":
        model = (HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor)(random_state=0)
    else:
        model = (RandomForestClassifier if is_classes else RandomForestRegressor)(random_state=0)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    columns = make_column_transformer(
        (SimpleImputer(strategy="median"), make_column_selector(dtype_include=np.number)),
        (codes, make_column_selector(dtype_exclude=np.number)),
    )
    return make_pipeline(columns, model).fit(X, y)


def run_one(system: str, table: str, number: int, seconds: float) -> dict[str, Any]:
    """Fit and judge one system; called in a process of its own."""
    warnings.simplefilter("ignore")
    X, X_test, y, y_test, entry = split(table, number)
    metric = metric_of(entry["task"], y.nunique())
    if system == "gnnlib" or system == "portfolio":
        import gnnlib.heads.automl.estimators  # noqa: F401 (imports come before the clock, as for the peers)
    if system in NEEDS:
        exec(NEEDS[system])  # the clock starts after imports
    cpu, began = os.times(), time.perf_counter()
    if system in {"gnnlib", "portfolio"}:
        model = fit_gnnlib(X, y, entry, seconds, metric, is_static=system == "portfolio")
    elif system == "flaml":
        model = fit_flaml(X, y, entry, seconds, metric)
    elif system == "autogluon":
        model = Gluon(X, y, entry, seconds, metric)
    else:
        model = fit_default(system, X, y, entry)
    fit_s = time.perf_counter() - began
    used = os.times()
    began = time.perf_counter()
    row: dict[str, Any] = {"metric": metric, "fit_s": round(fit_s, 2), "load": round(os.getloadavg()[0], 1)}
    if system == "flaml":
        X_test = X_test.copy()
        for column in X_test.columns:
            if X_test[column].dtype == object:
                X_test[column] = X_test[column].astype("category")
    row |= judge(model, X_test, y_test, metric)
    row["predict_s"] = round(time.perf_counter() - began, 3)
    spent = used.user + used.children_user - cpu.user - cpu.children_user
    row["cpu_s"] = round(spent + (worker_seconds() if system in {"gnnlib", "portfolio"} else 0.0), 1)
    return row | searched(model)


def judge(model: Any, X_test: Any, y_test: Any, metric: str) -> dict[str, float]:
    """Return the scores of a fitted model on rows that it has not seen; ``score`` is that of the metric, higher is better."""
    import numpy as np
    from sklearn.metrics import (
        accuracy_score,
        balanced_accuracy_score,
        log_loss,
        r2_score,
        roc_auc_score,
        root_mean_squared_error,
    )

    if metric == "rmse":
        found = np.asarray(model.predict(X_test), dtype=float)
        error = float(root_mean_squared_error(y_test, found))
        return {"rmse": error, "r2": float(r2_score(y_test, found)), "score": -error}
    proba = np.asarray(model.predict_proba(X_test))
    classes = np.asarray(model.classes_)
    said = classes[proba.argmax(axis=1)]
    row = {
        "accuracy": float(accuracy_score(y_test, said)),
        "balanced_accuracy": float(balanced_accuracy_score(y_test, said)),
        "log_loss": float(log_loss(y_test, np.clip(proba, 1e-15, 1), labels=classes)),
    }
    if len(classes) == 2:
        row["roc_auc"] = float(roc_auc_score(y_test == classes[1], proba[:, 1]))
    row["score"] = row["roc_auc"] if metric == "roc_auc" else -row["log_loss"]
    return row


def searched(model: Any) -> dict[str, Any]:
    """Return what a search of gnnlib tells of itself; nothing for other models."""
    if not hasattr(model, "result_"):
        return {}
    row: dict[str, Any] = {"trials": len(model.result_.trials), "complete": model.result_.num_complete}
    row["first_s"] = _first(model)
    row["members"] = [[text, round(weight, 3)] for text, weight in model.result_.members]
    return row


def worker_seconds() -> float:
    """CPU seconds of gnnlib's worker processes and of the trials that they ran; they outlive the fit."""
    from gnnlib.heads.automl.runner_pool import LocalPool

    total = 0
    for worker in LocalPool._idle:  # noqa: SLF001
        fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def _first(model: Any) -> float | None:
    times = model.result_.trace[:, 0]
    return round(float(times[0]), 2) if len(times) else None


def python_for(system: str) -> str | None:
    """Return the Python that has a system; None when none has."""
    if system not in NEEDS:
        return sys.executable
    for python in (sys.executable, os.environ.get("GNNLIB_PEERS_PYTHON")):
        if python and subprocess.run([python, "-c", NEEDS[system]], capture_output=True, check=False).returncode == 0:
            return python
    return None


def version_of(system: str, python: str) -> str:
    """Return the version of a peer in the Python that runs it."""
    name = {"autogluon": "autogluon.tabular"}.get(system, system)
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def launch(
    python: str, system: str, table: str, number: int, seconds: float, *, script: str = __file__
) -> dict[str, Any]:
    """Run one fit in a process, by ``script --one``; what it breaks is its result."""
    words = [python, script, "--one", system, table, str(number), str(seconds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    limit = KILL_FACTOR * seconds + 120.0
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"killed after {limit:.0f} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1][:300]}
    return dict(json.loads(lines[-1][7:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--seconds", default="10,30")
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=14.0, help="begin no run after this")
    parser.add_argument("--name", default=NAME, help="file of the results; automl_loaded for runs on a busy core")
    parser.add_argument("--again", default="", help="systems whose runs are thrown away first")
    parser.add_argument("--one", nargs=4, default=None)
    options = parser.parse_args()
    if options.one is not None:
        system, table, number, seconds = options.one
        print("RESULT " + json.dumps(run_one(system, table, int(number), float(seconds))), flush=True)
        return
    pythons = {system: python_for(system) for system in options.systems.split(",")}
    rows = begin(options.name, pythons, options.again.split(","))
    began = time.perf_counter()
    for number in range(options.splits):
        for seconds in map(float, options.seconds.split(",")):
            for table in options.tables.split(","):
                for system, python in pythons.items():
                    stop = seconds if system in BUDGETED else 0.0
                    key = f"{system}|{table}|{number}|{stop:g}"
                    if python is None or key in rows:
                        continue
                    if time.perf_counter() - began > 60.0 * options.minutes:
                        return
                    row = launch(python, system, table, number, seconds)
                    rows = keep(options.name, key, row)
                    print(key, json.dumps(row)[:160], flush=True)


def begin(name: str, pythons: dict[str, str | None], again: list[str]) -> dict[str, Any]:
    """Write down who takes part, forget the runs that are to be repeated, and return the rest."""
    with record.alone(name):
        payload = record.read(name) or {"rows": {}}
        payload["rows"] = {k: v for k, v in payload["rows"].items() if k.split("|")[0] not in again}
        lacking = {system for system, python in pythons.items() if python is None}
        payload["missing"] = sorted({*payload.get("missing", [])} - set(pythons) | lacking)
        versions = {s: version_of(s, p) for s, p in pythons.items() if p and s in NEEDS}
        payload["peers"] = payload.get("peers", {}) | versions
        record.write(name, payload)
    return dict(payload["rows"])


def keep(name: str, key: str, row: dict[str, Any]) -> dict[str, Any]:
    """Add a run to the file, in which a second copy of this script may be writing too; return all runs."""
    with record.alone(name):
        payload = record.read(name) or {"rows": {}}
        payload |= record.environment("scikit-learn", "lightgbm")
        payload["rows"][key] = row | {"commit": payload["commit"]}
        record.write(name, payload)
    return dict(payload["rows"])


if __name__ == "__main__":
    main()
