"""How like are two data sets? As often as they share a leaf of trees grown to tell which pipelines work.

A forest of extremely randomised trees (P. Geurts, D. Ernst, L. Wehenkel, 2006) predicts by averaging over the known data
sets in the query's leaves: its answer is a weighting of them (Y. Lin, Y. Jeon, *Random forests and adaptive nearest
neighbors*, 2006). The weighting is kept, not only the prediction: it says which known data sets the advice comes from, and
lets a whole set of pipelines be chosen for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnlib.seeding import Seed
    from gnnlib.typing import AnyArray, FloatArray, IntArray

__all__ = ["SimilarityForest"]


@dataclass(frozen=True)
class SimilarityForest:
    """Trees as arrays: no estimator is unpickled, and no version of scikit-learn is needed to read them.

    Attributes
    ----------
    feature : int array [M]
        Feature that each node asks for; -1 at a leaf. The nodes of all trees follow each other.
    threshold : array [M]
        Values at most this go left.
    left, right : int array [M]
        Children as positions in these arrays.
    roots : int array [T]
    leaves : int array [D, T]
        Leaf of every known data set in every tree.
    """

    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    roots: IntArray
    leaves: IntArray

    @classmethod
    def fit(
        cls, features: FloatArray, targets: FloatArray, *, trees: int = 150, min_leaf: int = 2, seed: Seed = 0
    ) -> Self:
        """Grow the trees.

        Parameters
        ----------
        features : array [D, F]
            Finite.
        targets : array [D, P]
            What the leaves should agree in.
        trees : int, default 150
        min_leaf : int, default 2
        seed : int, default 0
        """
        from sklearn.ensemble import ExtraTreesRegressor

        from gnnlib.seeding import spawn_seeds

        # Ten directions of a table of regrets hold most of its variance, and grow trees twenty times as fast.
        centred = targets - targets.mean(axis=0)
        outer, singular, _ = np.linalg.svd(centred, full_matrices=False)
        reduced = (outer * singular)[:, :10]
        state = spawn_seeds(seed, 1)[0]
        model = ExtraTreesRegressor(
            trees, min_samples_leaf=min_leaf, max_features=0.5, random_state=state, n_jobs=1
        ).fit(features.astype(np.float32), reduced)
        parts = [estimator.tree_ for estimator in model.estimators_]
        sizes = np.array([part.node_count for part in parts])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        shifted = [(part, root) for part, root in zip(parts, roots, strict=True)]
        return cls(
            np.concatenate([np.where(part.children_left < 0, -1, part.feature) for part in parts]).astype(np.int64),
            np.concatenate([part.threshold for part in parts]),
            np.concatenate([part.children_left + root for part, root in shifted]).astype(np.int64),
            np.concatenate([part.children_right + root for part, root in shifted]).astype(np.int64),
            roots.astype(np.int64),
            (model.apply(features.astype(np.float32)) + roots).astype(np.int64),
        )

    def find_leaves(self, features: FloatArray) -> IntArray:
        """Return the leaf [n, T] of every row of `features` [n, F] in every tree."""
        values = np.asarray(features, dtype=np.float32)
        rows = np.arange(len(values))[:, None]
        node = np.broadcast_to(self.roots, (len(values), len(self.roots))).copy()
        while (inside := self.feature[node] >= 0).any():
            goes_left = values[rows, np.maximum(self.feature[node], 0)] <= self.threshold[node]
            node = np.where(inside, np.where(goes_left, self.left[node], self.right[node]), node)
        return node

    def weights(self, features: FloatArray) -> FloatArray:
        """Return how much every known data set counts for each row of `features` [n, F]: [n, D], rows of sum 1."""
        found = self.find_leaves(features)
        total = np.zeros((len(found), len(self.leaves)))
        for tree in range(len(self.roots)):
            shared = found[:, tree, None] == self.leaves[None, :, tree]
            total += shared / shared.sum(axis=1, keepdims=True)
        return total / len(self.roots)

    def to_arrays(self, prefix: str = "forest_") -> Mapping[str, AnyArray]:
        """Return arrays that `from_arrays` reads."""
        return {
            f"{prefix}feature": self.feature.astype(np.int16),
            f"{prefix}threshold": self.threshold.astype(np.float64),
            f"{prefix}left": self.left.astype(np.int32),
            f"{prefix}right": self.right.astype(np.int32),
            f"{prefix}roots": self.roots.astype(np.int32),
            f"{prefix}leaves": self.leaves.astype(np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray], prefix: str = "forest_") -> Self:
        """Read what `to_arrays` made."""
        whole = ("feature", "left", "right", "roots", "leaves")
        parts = {name: arrays[f"{prefix}{name}"].astype(np.int64) for name in whole}
        return cls(threshold=arrays[f"{prefix}threshold"].astype(np.float64), **parts)
