"""Which pipeline next on a data set of an unknown family? Oboe's table, 20 folds of whole families.

    python benchmarks/bench_meta.py --data ../shared/data/automl/meta

nreg@k is the normalised regret of the best of the first k pipelines that a method tries; every evaluation counts. Rows
give the mean over data sets and over families; the bootstrap draws whole families.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import record
from bench_automl_graph import WordsAlone
from scipy.special import ndtr

from gnnlib.heads.automl.completion import MatrixCompletion, design_probes
from gnnlib.heads.automl.decode import Query, Recommender
from gnnlib.heads.automl.descriptions import TextEmbedding
from gnnlib.heads.automl.portfolio import greedy_portfolio
from gnnlib.heads.automl.train_recommender import read_meta, read_texts

if TYPE_CHECKING:
    from collections.abc import Callable

AT = (1, 3, 5, 10, 20)
Orders = dict[int, list[int]]


@dataclasses.dataclass
class Fold:
    """What a method may know: the training rows; of a test row its features, and the errors of what it tried."""

    errors: np.ndarray
    regret: np.ndarray
    train: np.ndarray
    test: np.ndarray
    families: np.ndarray
    features: np.ndarray  # ranks in [-1, 1], scaled by the training rows
    texts: np.ndarray
    model: Recommender
    queries: dict[int, Query]
    silent: dict[int, Query]  # without the description
    loo: np.ndarray  # weights of the training rows for each other, own family left out


def prepare(meta: Any, table: Any, texts: list[str], held: np.ndarray, seed: int) -> Fold:
    train, test = np.flatnonzero(~held), np.flatnonzero(held)
    embedding = TextEmbedding.fit([texts[i] for i in train], size=16)
    own = dataclasses.replace(meta, texts=embedding.transform(texts), embedding=embedding)
    model = Recommender().fit(own.take(train), seed=seed)
    queries = {int(i): model.query(own.features[i], own.texts[i]) for i in test}
    silent = {int(i): model.query(own.features[i]) for i in test}
    features = model.scale.transform(own.features)
    families = np.array(meta.families)
    loo = np.mean([_left_out(forest.leaves, families[train]) for forest in model.forests], axis=0)
    return Fold(table.errors, meta.regret, train, test, families, features, own.texts, model, queries, silent, loo)


def _left_out(leaves: np.ndarray, families: np.ndarray) -> np.ndarray:
    total = np.zeros((len(leaves), len(leaves)))
    same = families[:, None] == families[None]
    for tree in range(leaves.shape[1]):
        shared = (leaves[:, tree, None] == leaves[None, :, tree]) & ~same
        total += shared / np.maximum(shared.sum(axis=1, keepdims=True), 1)
    return total / np.maximum(total.sum(axis=1, keepdims=True), 1e-12)


def fixed(ranking: np.ndarray, fold: Fold) -> Orders:
    return {int(i): list(map(int, ranking)) for i in fold.test}


def random_order(fold: Fold) -> Orders:
    return {int(i): list(np.random.default_rng(int(i)).permutation(fold.regret.shape[1])) for i in fold.test}


def average_rank(fold: Fold) -> Orders:
    from scipy.stats import rankdata

    return fixed(np.argsort(rankdata(fold.errors[fold.train], axis=1).mean(axis=0)), fold)


def greedy(fold: Fold) -> Orders:
    return fixed(np.array(greedy_portfolio(fold.regret[fold.train], size=max(AT))), fold)


def neighbours(fold: Fold) -> Orders:
    orders = {}
    for i in fold.test:
        apart = ((fold.features[fold.train] - fold.features[i]) ** 2).sum(axis=1)
        near = fold.train[np.argsort(apart)[:25]]
        orders[int(i)] = list(np.argsort(fold.regret[near].mean(axis=0)))
    return orders


def extra_trees(fold: Fold) -> Orders:
    from sklearn.ensemble import ExtraTreesRegressor

    known = fold.regret[fold.train]
    mean = known.mean(axis=0)
    outer, singular, right = np.linalg.svd(known - mean, full_matrices=False)
    trees = ExtraTreesRegressor(300, min_samples_leaf=2, max_features=0.5, random_state=0)
    trees.fit(fold.features[fold.train], (outer * singular)[:, :8])
    guess = mean + trees.predict(fold.features[fold.test]) @ right[:8]
    return {int(i): list(np.argsort(row)) for i, row in zip(fold.test, guess, strict=True)}


def _completion(fold: Fold) -> tuple[MatrixCompletion, np.ndarray]:
    side = np.hstack([fold.features, np.ones((len(fold.features), 1))])
    return MatrixCompletion(rank=8, penalty=0.05, side_penalty=60.0).fit(
        fold.regret[fold.train], side[fold.train]
    ), side


def completion(fold: Fold) -> Orders:
    """Factors from side information alone, ranked."""
    model, side = _completion(fold)
    return {int(i): list(np.argsort(model.predict_row(side[i]))) for i in fold.test}


def oboe_probes(fold: Fold) -> Orders:
    """Five designed probes, then the completed row; the probes count."""
    model = MatrixCompletion(rank=5, penalty=0.01).fit(fold.errors[fold.train])
    probes = design_probes(model.column_factors_, 5)
    orders = {}
    for i in fold.test:
        row = model.predict_row(None, {p: fold.errors[i, p] for p in probes})
        orders[int(i)] = probes + [int(j) for j in np.argsort(row) if j not in probes]
    return orders


def gaussian_ei(fold: Fold, *, forest: bool, sigma: float = 0.02) -> Orders:
    """Take expected improvement under a Gaussian over rows of errors, with the mean row or the forests' as prior mean."""
    known = fold.errors[fold.train]
    centre = fold.loo @ known if forest else known.mean(axis=0)
    residual = known - centre
    cover = residual.T @ residual / len(known)
    orders = {}
    for i in fold.test:
        prior = fold.queries[int(i)].weights @ known if forest else known.mean(axis=0)
        chosen = [int(np.argmin(prior))]
        for _ in range(max(AT) - 1):
            chosen.append(_best_improvement(prior, cover, chosen, fold.errors[i, chosen], sigma))
        orders[int(i)] = chosen
    return orders


def _best_improvement(prior: np.ndarray, cover: np.ndarray, chosen: list[int], seen: np.ndarray, sigma: float) -> int:
    gain = np.linalg.solve(cover[np.ix_(chosen, chosen)] + sigma**2 * np.eye(len(chosen)), cover[chosen])
    mean = prior + (seen - prior[chosen]) @ gain
    spread = np.sqrt(np.maximum(np.diag(cover) - (cover[chosen] * gain).sum(axis=0), 1e-10))
    z = (seen.min() - mean) / spread
    improvement = spread * (z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))
    improvement[chosen] = -1.0
    return int(np.argmax(improvement))


def ours(
    fold: Fold,
    *,
    first: np.ndarray | None = None,
    blind: bool = False,
    model: Recommender | None = None,
    queries: dict[int, Query] | None = None,
) -> Orders:
    """Follow the shipped policy; `first` [T, P] may bring other predictions of the first pipeline in."""
    orders = {}
    for place, i in enumerate(fold.test):
        query, seen = (queries or fold.queries)[int(i)], {}
        for step in range(max(AT)):
            more = None if first is None or step else first[place]
            chosen = (model or fold.model).next(query, seen, advice=more)
            seen[chosen] = np.nan if blind else float(fold.errors[i, chosen])
        orders[int(i)] = list(seen)
    return orders


def words_alone(fold: Fold) -> Orders:
    """Follow the policy with weights that the embedded descriptions give, without meta-features."""
    model = WordsAlone().fit(fold.model.meta)
    unknown = np.full(fold.model.meta.features.shape[1], np.nan)
    return ours(fold, model=model, queries={int(i): model.query(unknown, fold.texts[i]) for i in fold.test})


def graph_table(fold: Fold, steps: int) -> np.ndarray:
    from gnnlib.heads.automl.train_dataset_graph import GraphRecommender, GraphSettings

    model = GraphRecommender(GraphSettings(steps=steps))
    inputs = np.hstack([fold.features, fold.texts])
    model.fit(inputs[fold.train], fold.regret[fold.train], list(fold.families[fold.train]), seed=0)
    return model.predict(inputs[fold.test])


def by_table(fold: Fold, table: np.ndarray) -> Orders:
    return {int(i): list(np.argsort(row)) for i, row in zip(fold.test, table, strict=True)}


def regret_at(orders: Orders, regret: np.ndarray) -> np.ndarray:
    return np.array([[regret[i, orders[i][:k]].min() for k in AT] for i in range(len(regret))])


def by_family(values: np.ndarray, families: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names, place = np.unique(families, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, place, values)
    return names, sums, np.bincount(place)


def bootstrap(a: np.ndarray, b: np.ndarray, families: np.ndarray, draws: int = 4000) -> list[list[float]]:
    """95 % intervals of the mean difference a - b at each k, drawing families."""
    _, sums, counts = by_family(a - b, families)
    picks = np.random.default_rng(0).integers(len(counts), size=(draws, len(counts)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)[:, None]
    return [[round(float(x), 4) for x in np.quantile(means[:, k], [0.025, 0.975])] for k in range(len(AT))]


def row(name: str, values: np.ndarray, families: np.ndarray, seconds: float) -> dict[str, Any]:
    _, sums, counts = by_family(values, families)
    macro = (sums / counts[:, None]).mean(axis=0)
    found: dict[str, Any] = {"method": name}
    found.update({f"nreg@{k}": round(float(v), 4) for k, v in zip(AT, values.mean(axis=0), strict=True)})
    found.update({f"family_nreg@{k}": round(float(v), 4) for k, v in zip(AT, macro, strict=True)})
    return {**found, "seconds": round(seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=str(Path(__file__).parents[2] / "shared" / "data" / "automl" / "meta"))
    parser.add_argument("--graph-steps", type=int, default=200, help="0 leaves the graph network out")
    parser.add_argument("--dev", type=int, default=None, help="seed of other family folds, to develop on")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    meta, table = read_meta(arguments.data)
    texts = read_texts(arguments.data, table)
    families = np.array(meta.families)
    folds = table.folds if arguments.dev is None else other_folds(families, arguments.dev)
    methods: dict[str, Callable[[Fold], Orders]] = {
        "random order": random_order,
        "average rank": average_rank,
        "greedy static portfolio": greedy,
        "k-NN of meta-features, k = 25": neighbours,
        "ExtraTrees on meta-features": extra_trees,
        "ALS with side information": completion,
        "Oboe: 5 designed probes, low rank": oboe_probes,
        "Gaussian EI, static prior": lambda fold: gaussian_ei(fold, forest=False),
        "Gaussian EI, forest prior": lambda fold: gaussian_ei(fold, forest=True),
        "ours, zero-shot set (results not looked at)": lambda fold: ours(fold, blind=True),
        "ours, no description": lambda fold: ours(fold, queries=fold.silent),
        "descriptions alone, no meta-features": words_alone,
        "ours": ours,
    }
    orders: dict[str, Orders] = {}
    seconds: dict[str, float] = {}

    def note(name: str, found: Orders, spent: float) -> None:
        orders.setdefault(name, {}).update(found)
        seconds[name] = seconds.get(name, 0.0) + spent

    for fold_number in np.unique(folds):
        began = time.process_time()
        fold = prepare(meta, table, texts, folds == fold_number, arguments.seed)
        fitting = time.process_time() - began
        for name, method in methods.items():
            began = time.process_time()
            found = method(fold)
            note(
                name,
                found,
                time.process_time() - began + (fitting if name.startswith(("ours", "Gaussian EI, f")) else 0),
            )
        if arguments.graph_steps:
            began = time.process_time()
            guess = graph_table(fold, arguments.graph_steps)
            spent = time.process_time() - began
            note("graph network (shared encoder), ranked", by_table(fold, guess), spent)
            note("ours with the graph network", ours(fold, first=guess), spent + fitting)
        print(f"fold {fold_number} done", flush=True)
    values = {name: regret_at(found, meta.regret) for name, found in orders.items()}
    rows = [row(name, values[name], families, seconds[name]) for name in values]
    for entry in rows:
        print(entry)
    best = "ours with the graph network" if arguments.graph_steps else "ours"
    compared = {
        rival: bootstrap(values[best], values[rival], families)
        for rival in ("greedy static portfolio", "ExtraTrees on meta-features", "Gaussian EI, forest prior")
    }
    notes = [
        f"{best} minus {rival}, 95 % interval at k = {', '.join(map(str, AT))} (families drawn): "
        + "; ".join(f"{low:+.3f} to {high:+.3f}" for low, high in intervals)
        for rival, intervals in compared.items()
    ]
    print("\n".join(notes))
    if arguments.dev is None:
        payload = {
            **record.environment("scipy", "scikit-learn", "torch"),
            "set": f"Oboe, {len(families)} data sets, {len(set(families))} families, 20 folds of whole families",
            "rows": rows,
            "notes": notes,
        }
        record.write("automl_meta", payload)


def other_folds(families: np.ndarray, seed: int, count: int = 10) -> np.ndarray:
    """Whole families by fold, of about equal size; not those that are reported."""
    rng = np.random.default_rng(seed)
    names, sizes = np.unique(families, return_counts=True)
    load, fold = np.zeros(count), {}
    for name, size in sorted(zip(names, sizes, strict=True), key=lambda entry: (-entry[1], rng.random())):
        fold[name] = int(np.argmin(load + 1e-3 * rng.random(count)))
        load[fold[name]] += size
    return np.array([fold[name] for name in families])


if __name__ == "__main__":
    main()
