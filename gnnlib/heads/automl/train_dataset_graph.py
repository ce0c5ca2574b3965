"""Trains the graph network on a table of regrets: whole families lose their results and must be told from the rest.

Every step hides all results of a random fifth of the families, or all but a few; their edges of likeness come from the
others only. The loss is measured on the hidden rows.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.encoder.initialise import seeded_parameters
from gnnlib.heads.automl.graph import DATASET_SPEC, DatasetGraph, dataset_graph
from gnnlib.heads.automl.head import RegretHead, RegretTable
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.training import FitConfig, fit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.seeding import Seed
    from gnnlib.typing import AnyArray, FloatArray

__all__ = ["GraphRecommender", "GraphSettings"]


@dataclass(frozen=True)
class GraphSettings:
    """How large the network is and how long it learns.

    Parameters
    ----------
    width, depth : int, default 32 and 2
        Of the shared encoder.
    steps : int, default 200
    edges : int, default 8
        Results of each known data set that are shown in a training step; all others of its row stay hidden.
    members : int, default 1
        Networks of different seeds whose predictions are averaged.
    """

    width: int = 32
    depth: int = 2
    steps: int = 200
    edges: int = 8
    members: int = 1


class GraphRecommender:
    """The data-set graph with a trained network: predicts the regrets of new data sets.

    Parameters
    ----------
    settings : GraphSettings, optional
    """

    def __init__(self, settings: GraphSettings | None = None) -> None:
        self.settings = settings or GraphSettings()
        self.models: list[GraphModel] = []

    def fit(self, features: FloatArray, regret: FloatArray, families: Sequence[str], *, seed: Seed = 0) -> None:
        """Train on known data sets.

        Parameters
        ----------
        features : array [D, F]
            In [-1, 1], without NaN.
        regret : array [D, P]
            Without NaN.
        families : sequence of D str
        seed : int, default 0
        """
        self.features, self.regret = features, regret
        self.prior = regret.mean(axis=0)
        _, singular, right = np.linalg.svd(regret - self.prior, full_matrices=False)
        use = min(10, len(singular))
        traits = right[:use].T * np.sqrt(regret.shape[1])
        self.pipelines: FloatArray = np.column_stack([self.prior * 4.0 - 1.0, traits])
        names = np.array(families)
        for state in spawn_seeds(seed, self.settings.members):
            encoder = Encoder([DATASET_SPEC], width=self.settings.width, depth=self.settings.depth, seed=state)
            with seeded_parameters(state):
                head = RegretHead(self.settings.width)
            model = GraphModel(encoder, head)
            config = FitConfig(
                epochs=1,
                steps_per_epoch=self.settings.steps,
                learning_rate=4e-3,
                weight_decay=0.05,
                warmup_steps=10,
                loss_weights={"regret": 20.0, "list": 0.3, "spread": 0.05},
            )
            fit(model, functools.partial(self._steps, names, state), config=config, seed=state)
            self.models.append(model.eval())

    def _steps(self, families: AnyArray, seed: int, epoch: int) -> Iterator[DatasetGraph]:
        rng = numpy_generator(seed + epoch)
        kinds = np.unique(families)
        for _ in range(self.settings.steps):
            hidden = np.isin(families, rng.permutation(kinds)[: max(1, len(kinds) // 5)])
            if hidden.all():
                hidden[:] = False
                hidden[0] = True
            shown = _sample_entries(self.regret, self.settings.edges, rng)
            few = int(rng.integers(1, 7)) if rng.random() < 0.5 else 0
            shown[hidden] = _sample_entries(self.regret[hidden], few, rng)
            graph = dataset_graph(self.features, self.pipelines, shown, known=~hidden)
            yield self._asked(graph, np.flatnonzero(hidden), self.regret[hidden])

    def _asked(self, graph: DatasetGraph, rows: AnyArray, target: FloatArray | None = None) -> DatasetGraph:
        return dataclasses.replace(
            graph,
            prior=torch.as_tensor(self.prior, dtype=torch.float32),
            asked=torch.as_tensor(rows, dtype=torch.int64),
            target=None if target is None else torch.as_tensor(target, dtype=torch.float32),
        )

    def predict(self, features: FloatArray, observed: FloatArray | None = None) -> FloatArray:
        """Return the expected regrets [Q, P] of new data sets [Q, F].

        Parameters
        ----------
        features : array [Q, F]
        observed : array [Q, P], optional
            Results that are in, as regrets; NaN elsewhere.
        """
        count = len(features)
        seen = np.full((count, self.regret.shape[1]), np.nan) if observed is None else observed
        both = np.vstack([self.features, features])
        known = np.arange(len(both)) < len(self.features)
        # The same number of edges as in training, drawn once.
        shown = _sample_entries(self.regret, self.settings.edges, numpy_generator(0))
        graph = dataset_graph(both, self.pipelines, np.vstack([shown, seen]), known=known)
        graph = self._asked(graph, np.flatnonzero(~known))
        tables = []
        with torch.no_grad():
            for model in self.models:
                output = model(graph)
                if isinstance(output, RegretTable):
                    tables.append(output.mean.double().numpy())
        return np.asarray(np.mean(tables, axis=0))


def _sample_entries(table: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Keep `count` random entries of each row, NaN elsewhere."""
    shown = np.full(table.shape, np.nan)
    if count < 1 or not len(table):
        return shown
    order = np.argsort(rng.random(table.shape), axis=1)[:, :count]
    rows = np.arange(len(table))[:, None]
    shown[rows, order] = table[rows, order]
    return shown
