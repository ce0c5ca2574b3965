"""Trains the network of the synthesis on stored experience, then on its own searches over it.

``python -m gnnlib.heads.automl.train_synthesis --meta FOLDER --seed 0 --out gnnlib/weights/automl-synthesis`` where
FOLDER holds ``oboe`` and ``openml_qualities``. From the stored table it learns the score of every pipeline on every
data set, and as policy to make the edits that lead to good pipelines; self-play replaces that policy by the visits of
its own tree searches (D. Silver et al., *Mastering the game of Go without human knowledge*, 2017).
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.encoder.initialise import seeded_parameters
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.synthesis import SynthesisParams, make_search
from gnnlib.heads.automl.synthesis_belief import Likeness, covariance
from gnnlib.heads.automl.synthesis_graph import PIPELINE_SPEC, edit_design, pipeline_graph, sentence_features
from gnnlib.heads.automl.synthesis_head import PolicyValue, SynthesisHead
from gnnlib.heads.automl.synthesis_language import EMPTY, DerivationSpace, PipelineLanguage
from gnnlib.heads.automl.table import MatrixLayout, TableProfile
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.training import FitConfig, fit, new_card

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.heads.automl.recommend_data import MetaData
    from gnnlib.heads.automl.synthesis_graph import PipelineGraph
    from gnnlib.typing import AnyArray, FloatArray, IntArray

__all__ = ["StoredScores", "SynthesisTraining", "main", "train_network"]

_SHARPNESS = 20.0
_NEAR = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class SynthesisTraining:
    """How large the network is and how long it learns.

    Parameters
    ----------
    width, depth : int, default 32 and 2
        Of the shared encoder.
    steps : int, default 300
        Optimiser steps on the stored table.
    tables : int, default 8
        Data sets of a step, each with all pipelines.
    odd : int, default 24
        Pipelines of a step that break the grammar or are none of the stored ones.
    games : int, default 40
        Data sets on which the network searches by itself.
    trials : int, default 10
        Trials of each such search.
    """

    width: int = 32
    depth: int = 2
    steps: int = 300
    tables: int = 8
    odd: int = 24
    games: int = 40
    trials: int = 10


class StoredScores:
    """A table of scores as a world to search in.

    Parameters
    ----------
    pipelines : sequence of Pipeline
        No two with the same estimator and settings: the pieces around it are not told apart by the table.

    Attributes
    ----------
    language : PipelineLanguage
        Its sentences are the pipelines.
    """

    def __init__(self, pipelines: Sequence[Pipeline]) -> None:
        self.pipelines = list(pipelines)
        self.language = PipelineLanguage.from_sentences(self.pipelines)
        self._columns = {str(pipeline.estimator): column for column, pipeline in enumerate(self.pipelines)}
        task = self.language.task
        layout = MatrixLayout(6, (3,))
        self._grammar = Grammar(TableProfile(task, 1_000, layout, num_classes=3, has_missing=True))

    def column(self, pipeline: Pipeline) -> int:
        """Return where the score of a pipeline stands; -1 when it breaks the grammar or is not stored."""
        if not self._grammar.is_valid(pipeline):
            return -1
        return self._columns.get(str(pipeline.estimator), -1)

    def score(self, row: FloatArray, pipeline: Pipeline) -> float:
        """Return the score of a pipeline in a row of the table; NaN as for `column`."""
        column = self.column(pipeline)
        return float(row[column]) if column >= 0 else float("nan")


def train_network(
    scores: FloatArray,
    tables: FloatArray,
    families: Sequence[str],
    stored: StoredScores,
    *,
    settings: SynthesisTraining | None = None,
    seed: int = 0,
) -> GraphModel:
    """Train the network of the synthesis on stored scores.

    Parameters
    ----------
    scores : array [D, P]
        Higher is better.
    tables : array [D, F]
        What the data sets look like.
    families : sequence of D str
        Errors of the network are measured on families that a first network did not see.
    stored : StoredScores
        What the columns are.
    settings : SynthesisTraining, optional
    seed : int, default 0
    """
    settings = settings or SynthesisTraining()
    low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    unit = (scores - low) / np.where(high > low, high - low, 1.0)
    names = np.array(families)
    seeds = spawn_seeds(seed, 3)
    kinds = np.unique(names)
    held = np.isin(names, numpy_generator(seeds[0]).permutation(kinds)[: max(1, len(kinds) // 4)])
    kernel = None
    if 0 < held.sum() < len(names):
        less = dataclasses.replace(settings, steps=max(1, settings.steps // 2))
        first = _Lessons(unit[~held], tables[~held], stored, less).learn(seeds[1])
        kernel = _measure(first, unit[held], tables[held], stored)
    lessons = _Lessons(unit, tables, stored, settings)
    model = lessons.learn(seeds[1])
    head = model.head
    if isinstance(head, SynthesisHead) and kernel is not None:
        head.kernel.copy_(torch.as_tensor([*kernel, float(np.median(high - low))], dtype=torch.float32))
    if settings.games:
        lessons.play(model, scores, seeds[2])
    return model


class _Lessons:
    """Batches of a table and its network."""

    def __init__(self, unit: FloatArray, tables: FloatArray, stored: StoredScores, settings: SynthesisTraining) -> None:
        self.unit, self.tables, self.stored, self.settings = unit, tables, stored, settings
        self.space = DerivationSpace(stored.language)
        for pipeline in stored.pipelines:
            self.space.number(pipeline)
        self.features = np.stack([sentence_features(item) for item in self.space.pipelines])
        self.next = np.stack([self.space.successors(place) for place in range(len(self.space.pipelines))])
        self.seen = (np.abs(self.features).max(axis=(0, 1)) > 0).astype(np.float32)
        self.design = torch.as_tensor(edit_design(stored.language.edits, stored.language.task), dtype=torch.float32)
        self.odd, self.odd_columns = self._odd_sentences()
        self.improved: dict[tuple[int, int], FloatArray] = {}

    def _odd_sentences(self) -> tuple[FloatArray, IntArray]:
        free = DerivationSpace(self.stored.language, use_grammar=False)
        for pipeline in self.stored.pipelines:
            free.number(pipeline)
        for place in range(1, len(self.stored.pipelines) + 1):
            free.successors(place)
        known = len(self.stored.pipelines) + 1
        found = [item for item in free.pipelines[known:] if item is not None]
        if not found:
            return np.zeros((0, *self.features.shape[1:])), np.zeros(0, dtype=np.int64)
        return np.stack([sentence_features(item) for item in found]), np.array([self.stored.column(p) for p in found])

    def learn(self, seed: int) -> GraphModel:
        """Return a network trained on the table."""
        encoder = Encoder([PIPELINE_SPEC], width=self.settings.width, depth=self.settings.depth, seed=seed)
        with seeded_parameters(seed):
            head = SynthesisHead(self.settings.width, self.tables.shape[1])
        head.seen.copy_(torch.as_tensor(self.seen))
        model = GraphModel(encoder, head)
        self._fit(model, self.settings.steps, 4e-3, seed)
        return model.eval()

    def _fit(self, model: GraphModel, steps: int, rate: float, seed: int) -> None:
        config = FitConfig(
            epochs=1,
            steps_per_epoch=steps,
            learning_rate=rate,
            weight_decay=0.05,
            warmup_steps=min(20, steps),
            loss_weights={"value": 20.0, "list": 0.3, "policy": 0.3},
        )
        fit(model, functools.partial(self._steps, steps, seed), config=config, seed=seed)

    def _steps(self, steps: int, seed: int, epoch: int) -> Iterator[PipelineGraph]:
        rng = numpy_generator(seed + epoch)
        for _ in range(steps):
            yield self._batch(rng.choice(len(self.unit), min(self.settings.tables, len(self.unit)), replace=False), rng)

    def _batch(self, rows: AnyArray, rng: np.random.Generator) -> PipelineGraph:
        count = min(self.settings.odd, len(self.odd))
        odd = rng.choice(len(self.odd), count, replace=False) if count else np.zeros(0, dtype=np.int64)
        sentences = np.concatenate([self.features, self.odd[odd]])
        each = len(sentences)
        graph = pipeline_graph(np.tile(sentences, (len(rows), 1, 1)), np.repeat(self.tables[rows], each, axis=0))
        columns = self.odd_columns[odd]
        unit = self.unit[rows]
        others = np.where(columns >= 0, unit[:, np.maximum(columns, 0)], 0.0)
        value = np.concatenate([np.full((len(rows), 1), np.nan), unit, others], axis=1)
        policy = np.zeros((len(rows), each, len(self.stored.language.edits)))
        for index, row in enumerate(rows):
            policy[index, : len(self.features)] = self._wanted(int(row))
        legal = np.zeros(policy.shape[1:], dtype=np.bool_)
        legal[: len(self.features)] = self.next >= 0
        graph.value = torch.as_tensor(value.ravel(), dtype=torch.float32)
        graph.policy = torch.as_tensor(policy.reshape(-1, policy.shape[2]), dtype=torch.float32)
        graph.legal = torch.as_tensor(np.tile(legal, (len(rows), 1)))
        graph.design, graph.tables = self.design, len(rows)
        return graph

    def _wanted(self, row: int) -> FloatArray:
        """Return what share each edit of each place deserves: better pipelines more, or the visits of self-play."""
        after = np.concatenate([[0.0], self.unit[row]])[np.maximum(self.next, 0)]
        weight = np.where(self.next >= 0, np.exp(_SHARPNESS * (after - 1.0)), 0.0)
        total = weight.sum(axis=1, keepdims=True)
        share = weight / np.where(total > 0, total, 1.0)
        for place in range(len(share)):
            visits = self.improved.get((row, place))
            if visits is not None:
                share[place] = visits
        return np.asarray(share)

    def play(self, model: GraphModel, scores: FloatArray, seed: int) -> None:
        """Let the network search on data sets of the table, and learn from where its searches went."""
        rng = numpy_generator(seed)
        params = SynthesisParams(network=model)
        for row in rng.choice(len(scores), min(self.settings.games, len(scores)), replace=False):
            for place, visits in _visits(
                self.stored, scores[row], self.tables[row], params, self.settings.trials, seed
            ):
                number = self.space.number(place) if place is not None else EMPTY
                known = self.improved.get((int(row), number))
                self.improved[int(row), number] = visits if known is None else known + visits
        for key, visits in self.improved.items():
            self.improved[key] = visits / visits.sum()
        self._fit(model, max(1, self.settings.steps // 4), 1e-3, seed)
        model.eval()


def _visits(
    stored: StoredScores, row: FloatArray, table: FloatArray, params: SynthesisParams, trials: int, seed: int
) -> Iterator[tuple[Pipeline | None, FloatArray]]:
    """Yield pipelines and how often each edit was made from them in the plans of a search."""
    search = make_search(stored.language, table, params=params, seed=seed)
    edits = len(stored.language.edits)
    for _ in range(trials):
        pipeline = search.ask()
        tree = search.tree
        if pipeline is None or tree is None:
            return
        search.tell(pipeline, stored.score(row, pipeline))
        for root, nodes in enumerate(tree.embeddings or []):
            for node in range(int(tree.num_nodes[root])):
                visits = tree.child_visits(node)[root, :edits].astype(np.float64)
                if nodes[node][1] >= 0 and visits.sum() >= 12:
                    yield search.space.pipelines[nodes[node][0]], visits


def _measure(model: GraphModel, unit: FloatArray, tables: FloatArray, stored: StoredScores) -> list[float]:
    """Return the first five numbers of the kernel from errors on data sets that were not learnt from."""
    from scipy.optimize import nnls

    count = len(stored.pipelines)
    head = model.head
    seen = head.seen.numpy() if isinstance(head, SynthesisHead) else 1.0
    sentences = np.stack([sentence_features(item) for item in stored.pipelines]) * seen
    errors = []
    for row, table in zip(unit, tables, strict=True):
        with torch.inference_mode():
            output = model(pipeline_graph(sentences, np.repeat(table[None], count, axis=0)))
        if isinstance(output, PolicyValue):
            error = row - output.value.double().numpy()
            errors.append(error - error.mean())
    found = np.array(errors)
    wanted = (found.T @ found / len(found)).ravel()
    like = Likeness.of(list(stored.pipelines))
    best: tuple[float, list[float]] = (np.inf, [0.01, 0.01, 0.01, 0.5, 0.002])
    for near in _NEAR:
        parts = [covariance(like, like, np.array([*unit3, near])) for unit3 in np.eye(3)]
        columns = np.stack([*(part.ravel() for part in parts), np.eye(count).ravel(), -np.ones(count * count)], axis=1)
        weights, left = nnls(columns, wanted)
        if left < best[0]:
            best = left, [*weights[:3].tolist(), near, max(float(weights[3]), 1e-4)]
    return best[1]


def read_stored(folder: str, rows: IntArray | None = None) -> tuple[MetaData, FloatArray, FloatArray, StoredScores]:
    """Return Oboe's table in the pipeline language: data sets, scores [D, P], features [D, 79], and the columns.

    Parameters
    ----------
    folder : str
    rows : int array, optional
        Words and the ranks of features are learnt from these data sets only; from all when absent.
    """
    from gnnlib.heads.automl.recommend_data import FeatureScale
    from gnnlib.heads.automl.train_recommender import merge_configurations, read_meta

    meta = merge_configurations(*read_meta(folder, rows))
    bounds = meta.bounds if meta.bounds is not None else np.tile([0.0, 1.0], (len(meta), 1))
    scores = 1.0 - (bounds[:, :1] + meta.regret * (bounds[:, 1:] - bounds[:, :1]))
    scale = FeatureScale.fit(meta.features if rows is None else meta.features[rows])
    tables = np.concatenate([scale.transform(meta.features), meta.texts], axis=1)
    return meta, scores, tables, StoredScores([Pipeline.parse("classification", text) for text in meta.pipelines])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(description="Train the network of the synthesis.")
    parser.add_argument("--meta", required=True, help="folder that holds oboe and openml_qualities")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="gnnlib/weights/automl-synthesis")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    began = time.perf_counter()
    meta, scores, tables, stored = read_stored(options.meta)
    model = train_network(scores, tables, meta.families, stored, seed=options.seed)
    model.card = new_card(
        Path(options.out),
        purpose="value and policy of pipelines for a classification table, read off the pipeline graph",
        command="python -m gnnlib.heads.automl.train_synthesis --meta FOLDER",
        data=_DATA.format(sets=len(meta), pipelines=len(meta.pipelines)),
        seed=options.seed,
        seconds=time.perf_counter() - began,
        metrics={},
    )
    model.save(options.out)


_DATA = (
    "balanced error rates of {sets} OpenML data sets and {pipelines} pipelines from udellgroup/oboe (BSD-3), data "
    "qualities of OpenML (CC BY 4.0), words of the descriptions. What the network is worth on families never seen is "
    "measured by benchmarks/bench_synthesis.py; the shipped one has learned from all of them"
)


if __name__ == "__main__":
    main()
