"""What the graph of known data sets is worth on tables of families that it has never met.

    python benchmarks/bench_automl_graph.py --minutes 75

Two things are measured, each fit in a process of its own on one core. Single pipelines: what `recommend_pipelines`
names first, with the description or without it, from the words alone, and the first of the static portfolio, each fitted
once on all rows, beside learners with their defaults. Searches of 60 s with the graph, without it (static portfolio), and
cold (no list to begin with), with the trace of their scores, and one of 20 s with the graph.

The tables were settled by rule, before any result: `unknown_tables` lists those of which the experience that ships knows
no relative; single pipelines take all of them, searches every second one by name. Rows are appended to
``results/automl_graph.json`` at once, so that the script can be stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from bench_automl import DATA, begin, fit_default, judge, keep, launch, metric_of, searched, split, worker_seconds

from gnnlib.heads.automl.decode import Recommender

if TYPE_CHECKING:
    from gnnlib.heads.automl.recommend_data import MetaData
    from gnnlib.typing import FloatArray

NAME = "automl_graph"
LEARNERS = ("lightgbm", "histgb", "forest")
SINGLES = ("single-graph", "single-no-words", "single-no-features", "single-portfolio")
SEARCHES = (
    ("search-cold", 60.0),
    ("search-portfolio", 60.0),
    ("search-graph", 60.0),
    ("search-graph", 20.0),
)
EVERY = 2
"""Searches take every so many of the tables, in the order of their names."""


class WordsAlone(Recommender):
    """The recommender without meta-features: all forests look at the embedded description only."""

    def _prepare(self, meta: MetaData) -> None:
        super()._prepare(meta)
        self.usual = self.usual_beyond = math.inf  # the features do not make a table unusual either

    def _views(self, scaled: FloatArray, texts: FloatArray) -> list[FloatArray]:  # noqa: ARG002
        return [texts[:, :16]] * 3


def unknown_tables() -> list[str]:
    """Return the classification tables of which the shipped experience knows no relative, by name.

    A table is out when a table of its family has a namesake in Oboe's list, when a known data set or family is named like
    it, like its family, or like words of its name, and when a known data set has as many rows.
    """
    from gnnlib.heads.automl.recommend import shipped_recommender
    from gnnlib.heads.automl.recommend_data import FEATURES

    model = shipped_recommender("classification")
    if model is None:
        raise SystemExit("no recommender ships for classification")
    names = {_words(name) for name in (*model.meta.names, *model.meta.families)}
    rows = set(model.meta.features[:, FEATURES.index("NumberOfInstances")].tolist())
    index = json.loads((DATA / "datasets_index.json").read_text())
    related = {entry["family"] for entry in index if entry["oboe_ids_same_name"]}
    found = []
    for entry in index:
        parts = [_words(entry["name"]), _words(entry["family"])]
        is_named = any(f" {name} " in f" {part} " for part in parts for name in names)
        is_known = is_named or entry["family"] in related or float(entry["rows"]) in rows
        if entry["task"] == "classification" and not is_known:
            found.append(entry["name"])
    return sorted(found)


def _words(name: str) -> str:
    return " ".join(re.findall("[a-z0-9]+", name.lower()))


class Single:
    """One pipeline behind the cleaning of tables, fitted once on all rows."""

    def __init__(self, text: str) -> None:
        self.text = text

    def fit(self, X: Any, y: Any) -> Single:  # noqa: D102
        from gnnlib.heads.automl.cleaning import TableCleaner
        from gnnlib.heads.automl.pipelines import Pipeline

        self.cleaner = TableCleaner().fit(X)
        self.classes_, codes = np.unique(y, return_inverse=True)
        pipeline = Pipeline.parse("classification", self.text)
        self.model = pipeline.build(self.cleaner.layout, seed=0, rows=len(codes))
        self.model.fit(self.cleaner.transform(X), codes)
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: D102
        return self.model.predict_proba(self.cleaner.transform(X))


def fit_single(system: str, X: Any, y: Any, description: str, words_alone: Recommender | None) -> tuple[Any, Any]:
    """Ask for one pipeline and fit it; return it with the advice."""
    from gnnlib.heads.automl.portfolio import static_portfolio
    from gnnlib.heads.automl.recommend import recommend_pipelines

    if system == "single-portfolio":
        return Single(str(static_portfolio("classification", size=1)[0])).fit(X, y), None
    said = None if system == "single-no-words" else description or None
    advice = recommend_pipelines(X, y, description=said, k=1, task="classification", experience=words_alone)
    return Single(advice.pipelines[0].pipeline).fit(X, y), advice


def fit_search(system: str, X: Any, y: Any, description: str, seconds: float, metric: str) -> Any:
    from gnnlib.heads.automl.estimators import AutoClassifier
    from gnnlib.heads.automl.problem import AutoMLParams
    from gnnlib.stop import MaxRuntime

    params = AutoMLParams(use_graph=system == "search-graph", start=() if system == "search-cold" else None)
    model = AutoClassifier(stop=MaxRuntime(seconds), metric=metric, description=description, seed=0, params=params)
    return model.fit(X, y)


def run_one(system: str, table: str, number: int, seconds: float) -> dict[str, Any]:
    """Fit and judge one system; called in a process of its own."""
    import lightgbm  # noqa: F401 (imports come before the clock)

    import gnnlib.heads.automl.estimators  # noqa: F401
    from gnnlib.heads.automl.recommend import shipped_recommender

    warnings.simplefilter("ignore")
    X, X_test, y, y_test, entry = split(table, number)
    metric = metric_of(entry["task"], y.nunique())
    model: Any
    known = shipped_recommender("classification")  # weights are read before the clock, too
    words = WordsAlone().fit(known.meta) if known is not None and system == "single-no-features" else None
    cpu, began = os.times(), time.perf_counter()
    advice = None
    if system in SINGLES:
        model, advice = fit_single(system, X, y, entry["description"] or "", words)
    elif system in LEARNERS:
        model = fit_default(system, X, y, entry)
    else:
        model = fit_search(system, X, y, entry["description"] or "", seconds, metric)
    fit_s, used = time.perf_counter() - began, os.times()
    spent = used.user + used.children_user - cpu.user - cpu.children_user
    is_search = system.startswith("search")
    row: dict[str, Any] = {"metric": metric, "fit_s": round(fit_s, 2), "load": round(os.getloadavg()[0], 1)}
    row["cpu_s"] = round(spent + (worker_seconds() if is_search else 0.0), 1)
    row |= judge(model, X_test, y_test, metric) | searched(model)
    if isinstance(model, Single):
        row["pipeline"] = model.text
    if advice is not None:
        row |= {"source": advice.source, "novelty": round(min(advice.novelty, 1e6), 2)}
        row["neighbours"] = [near.name for near in advice.neighbours[:3]]
    if is_search:
        trace = model.result_.trace
        row["trace"] = [[round(float(s), 2), float(v)] for s, v in trace if math.isfinite(v)]
        row["from_graph"] = sum(trial.why == "data set graph" for trial in model.result_.trials)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default="", help="names; default: all by the rule")
    parser.add_argument("--parts", default="singles,searches", help="what to measure, in this order")
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=75.0, help="begin no run after this")
    parser.add_argument("--name", default=NAME, help="file of the results")
    parser.add_argument("--again", default="", help="systems whose runs are thrown away first")
    parser.add_argument("--list", action="store_true", help="only name the tables")
    parser.add_argument("--one", nargs=4, default=None)
    options = parser.parse_args()
    if options.one is not None:
        system, table, number, seconds = options.one
        print("RESULT " + json.dumps(run_one(system, table, int(number), float(seconds))), flush=True)
        return
    tables = options.tables.split(",") if options.tables else unknown_tables()
    if options.list:
        print("\n".join(f"{table}{', searched' * (not place % EVERY)}" for place, table in enumerate(tables)))
        return
    plan = {
        "singles": [(table, system, 0.0) for table in tables for system in (*SINGLES, *LEARNERS)],
        "searches": [(table, system, stop) for table in tables[::EVERY] for system, stop in SEARCHES],
    }
    rows = begin(options.name, dict.fromkeys({*SINGLES, *LEARNERS}, sys.executable), options.again.split(","))
    began = time.perf_counter()
    for number in range(options.splits):
        for table, system, stop in (job for part in options.parts.split(",") for job in plan[part]):
            key = f"{system}|{table}|{number}|{stop:g}"
            if key in rows:
                continue
            if time.perf_counter() - began > 60.0 * options.minutes:
                return
            row = launch(sys.executable, system, table, number, stop, script=__file__)
            rows = keep(options.name, key, row)
            print(key, json.dumps(row)[:160], flush=True)


if __name__ == "__main__":
    main()
