"""Which sentences of the pipeline language make sense for a table: masks, derivations, and the joint search space.

A derivation fills the slots from left to right; `Grammar.options` names the pieces that can come next, and each of them
can be completed to a valid pipeline. This is the pruning of I. Drori et al., *Automatic machine learning by pipeline
synthesis using model-based reinforcement learning and a grammar* (2019). The space is that of CASH (C. Thornton et al.,
*Auto-WEKA*, 2013): algorithm and hyper-parameters jointly, the latter existing only beside their piece.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.automl.pieces import PIECES, SLOTS, Piece, Slot, is_available, piece, pieces_of
from gnnlib.heads.automl.pipelines import Pipeline, Step
from gnnlib.search.spaces import Categorical, Parameter, Space

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gnnlib.heads.automl.table import TableProfile

__all__ = ["Grammar"]

ONEHOT_MAX_LEVELS = 500
"""Richest column that is still one-hot encoded (its rare levels share one column)."""

ONEHOT_MAX_CELLS = 2e7
"""Cells of the encoded matrix above which one-hot encoding is left out."""

NATIVE_MAX_LEVELS = 200
"""scikit-learn's boosting reads at most 255 categories a column."""

FEW_ROWS_FOR_ISOTONIC = 500
_LABEL_METRICS = frozenset({"accuracy", "balanced_accuracy", "f1"})


class Grammar:
    """The valid pipelines for one table.

    Parameters
    ----------
    profile : TableProfile
    include, exclude : iterable of str, optional
        Names of pieces to allow only, or to forbid. `include` applies to the slots of which it names a piece.
    metric : str
        The decision threshold is offered only for metrics that look at labels.
    is_weighted : bool
        Whether samples carry weights; then estimators that ignore them are left out.

    Raises
    ------
    InputError
        If a name is unknown.
    InfeasibleError
        If nothing is left.

    Examples
    --------
    >>> from gnnlib.heads.automl.table import MatrixLayout, TableProfile
    >>> grammar = Grammar(TableProfile("regression", 100, MatrixLayout(5)), include=["ridge"])
    >>> grammar.options({"impute": "median", "encode": "ordinal"}, "scale")
    ('standard', 'robust', 'quantile')
    >>> grammar.is_valid(Pipeline("regression", Step("ridge")))
    False
    """

    def __init__(
        self,
        profile: TableProfile,
        *,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        metric: str = "",
        is_weighted: bool = False,
    ) -> None:
        self.profile = profile
        self.metric = metric
        self.is_weighted = is_weighted
        self.include = frozenset(_checked_names(include, "include"))
        self.exclude = frozenset(_checked_names(exclude, "exclude")) - {"none"}
        if not self.skeletons:
            raise InfeasibleError(
                f"no pipeline is left for a table of {profile.rows} rows and {profile.num_features} columns with "
                f"include={sorted(self.include)}, exclude={sorted(self.exclude)}; allow more pieces"
            )

    @functools.cached_property
    def allowed(self) -> dict[Slot, tuple[str, ...]]:
        """Names of the pieces of each slot that pass the checks that concern one piece alone."""
        allowed: dict[Slot, tuple[str, ...]] = {}
        for slot in SLOTS:
            items = pieces_of(self.profile.task, slot)
            named = [item for item in items if item.name in self.include]
            allowed[slot] = tuple(
                item.name for item in (named or items) if item.name not in self.exclude and self._suits(item)
            )
        return allowed

    def _suits(self, item: Piece) -> bool:
        profile = self.profile
        if not is_available(item.package):
            return False
        if item.slot == "estimator":
            fits = profile.rows <= item.max_rows and profile.num_features <= item.max_features
            return fits and (item.takes_weights or not self.is_weighted)
        if item.slot == "impute":
            return profile.has_missing or item.name == "median"
        if item.slot == "encode":
            return self._suits_encoder(item.name)
        if item.slot == "reduce":
            return item.name == "none" or profile.num_features > 3
        return item.slot != "post" or self._suits_post(item.name)

    def _suits_encoder(self, name: str) -> bool:
        profile = self.profile
        if not profile.layout.cardinalities:
            return name == "ordinal"
        if name == "onehot":
            columns = sum(min(levels, 100) for levels in profile.layout.cardinalities)
            return profile.max_levels <= ONEHOT_MAX_LEVELS and columns * profile.rows <= ONEHOT_MAX_CELLS
        if name == "native":
            return profile.max_levels <= NATIVE_MAX_LEVELS
        return name != "target" or profile.num_classes <= 10

    def _suits_post(self, name: str) -> bool:
        profile = self.profile
        if name == "threshold":
            return profile.num_classes == 2 and self.metric in _LABEL_METRICS
        if name == "isotonic":
            return profile.rows >= FEW_ROWS_FOR_ISOTONIC
        if name == "log":
            return profile.target_min >= 0.0 and profile.target_skew > 0.5
        return name != "normal" or profile.rows >= 50

    @functools.cached_property
    def skeletons(self) -> list[tuple[str, ...]]:
        """All valid combinations of pieces, in the order of `SLOTS`."""
        return [names for names in itertools.product(*(self.allowed[slot] for slot in SLOTS)) if self._agree(names)]

    def _agree(self, names: Sequence[str]) -> bool:
        """Check the rules that concern several pieces."""
        impute, encode, scale, reduce, estimator, post = names
        item = piece(self.profile.task, "estimator", estimator)
        is_tree = item.family in {"boosting", "forest"}
        if item.needs_scale and scale == "none":
            return False
        if is_tree and scale != "none":
            return False
        if impute == "keep" and not (item.takes_missing and reduce == "none"):
            return False
        if encode == "native" and not (item.family == "boosting" and reduce == "none"):
            return False
        if not self.profile.layout.cardinalities and encode != "ordinal":
            return False
        if post in {"sigmoid", "isotonic"} and estimator in {"logistic", "svm"}:
            return False  # probabilities of these are calibrated already
        return reduce != "important" or self.profile.rows <= 50_000

    @functools.cached_property
    def _prefixes(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        following: dict[tuple[str, ...], dict[str, None]] = {}
        for names in self.skeletons:
            for length in range(len(SLOTS)):
                following.setdefault(names[:length], {})[names[length]] = None
        return {prefix: tuple(found) for prefix, found in following.items()}

    def options(self, chosen: Mapping[str, str], slot: Slot) -> tuple[str, ...]:
        """Return the pieces that can stand in `slot` after those chosen for the slots before it.

        Parameters
        ----------
        chosen : mapping of slot to name
            All slots before `slot`.
        slot : str

        Returns
        -------
        tuple of str
            Empty when the choices so far are not valid.
        """
        before = SLOTS[: SLOTS.index(slot)]
        missing = [name for name in before if name not in chosen]
        if missing:
            raise InputError(f"the slots before {slot!r} must be chosen, {', '.join(missing)} are not")
        return self._prefixes.get(tuple(chosen[name] for name in before), ())

    def is_valid(self, pipeline: Pipeline) -> bool:
        """Return whether a pipeline suits the table."""
        return pipeline.task == self.profile.task and pipeline.skeleton in self._skeleton_set

    @functools.cached_property
    def _skeleton_set(self) -> frozenset[tuple[str, ...]]:
        return frozenset(self.skeletons)

    def nearest(self, pipeline: Pipeline) -> Pipeline | None:
        """Return the valid pipeline with the same estimator and as many of the same pieces as possible.

        A portfolio names pipelines for any table; this fits them to one, for instance drops the one-hot encoder where
        there are no categories. None when the estimator itself is not allowed.
        """
        same = [names for names in self.skeletons if names[4] == pipeline.skeleton[4]]
        if not same or pipeline.task != self.profile.task:
            return None
        wanted = pipeline.skeleton
        best = max(same, key=lambda names: sum(a == b for a, b in zip(names, wanted, strict=True)))
        steps = {
            slot: (getattr(pipeline, slot) if name == wanted[i] else Step(name))
            for i, (slot, name) in enumerate(zip(SLOTS, best, strict=True))
        }
        return Pipeline(pipeline.task, **steps)

    def sample(self, rng: np.random.Generator, *, estimator: str | None = None) -> Pipeline:
        """Draw a valid pipeline: a derivation, then every hyper-parameter evenly over its range.

        The estimator is drawn first, evenly, so that families with many valid preprocessings are not favoured.

        Raises
        ------
        InputError
            If `estimator` is not allowed.
        """
        names = sorted({names[4] for names in self.skeletons})
        if estimator is not None and estimator not in names:
            raise InputError(f"`estimator` must be one of {', '.join(names)}, found {estimator!r}")
        chosen = estimator or names[rng.integers(len(names))]
        same = [names for names in self.skeletons if names[4] == chosen]
        skeleton = same[rng.integers(len(same))]
        return Pipeline(self.profile.task, **{s: self._draw(s, n, rng) for s, n in zip(SLOTS, skeleton, strict=True)})

    def _draw(self, slot: Slot, name: str, rng: np.random.Generator) -> Step:
        parameters = piece(self.profile.task, slot, name).parameters
        if not parameters:
            return Step(name)
        return Step(name, Space({key: parameter for key, (parameter, _) in parameters.items()}).sample(rng))

    def mutate(self, pipeline: Pipeline, rng: np.random.Generator, *, width: float = 0.15) -> Pipeline:
        """Change one piece, or move the hyper-parameters of the estimator by about `width` of their ranges."""
        if rng.random() < 0.35:
            near = [
                names
                for names in self.skeletons
                if names[4] == pipeline.skeleton[4]
                and sum(a != b for a, b in zip(names, pipeline.skeleton, strict=True)) == 1
            ]
            if near:
                names = near[rng.integers(len(near))]
                changed = {
                    slot: self._draw(slot, name, rng)
                    for slot, name, old in zip(SLOTS, names, pipeline.skeleton, strict=True)
                    if name != old
                }
                return pipeline.replace(**changed)
        parameters = pipeline.piece("estimator").parameters
        if not parameters:
            return pipeline
        space = Space({key: parameter for key, (parameter, _) in parameters.items()})
        unit, _ = space.encode(pipeline.estimator.params)
        moved = np.clip(unit + width * rng.standard_normal(len(unit)) * (rng.random(len(unit)) < 0.7), 0.0, 1.0)
        return pipeline.replace(estimator=Step(pipeline.estimator.name, space.decode(moved)))

    def space(self) -> Space:
        """Return the joint space: one choice a slot, and ``slot.piece.parameter`` where that piece is chosen.

        Not every point is valid; `to_pipeline` repairs the pieces around the estimator.

        Examples
        --------
        >>> from gnnlib.heads.automl.table import MatrixLayout, TableProfile
        >>> grammar = Grammar(TableProfile("regression", 100, MatrixLayout(5)), include=["ridge", "knn"])
        >>> [name for name in grammar.space().names if name.startswith("estimator.ridge")]
        ['estimator.ridge.alpha']
        """
        parameters: dict[str, Parameter] = {}
        for position, slot in enumerate(SLOTS):
            names = tuple(dict.fromkeys(skeleton[position] for skeleton in self.skeletons))
            parameters[slot] = Categorical(names)
            for name in names:
                for key, (parameter, _) in piece(self.profile.task, slot, name).parameters.items():
                    inner = {f"{slot}.{name}.{parent}": values for parent, values in (parameter.when or {}).items()}
                    parameters[f"{slot}.{name}.{key}"] = dataclasses.replace(parameter, when={slot: name, **inner})
        return Space(parameters)

    def to_pipeline(self, point: Mapping[str, Any]) -> Pipeline:
        """Return the valid pipeline nearest to a point of `space`."""
        steps = {}
        for slot in SLOTS:
            start = f"{slot}.{point[slot]}."
            params = {key.removeprefix(start): value for key, value in point.items() if key.startswith(start)}
            steps[slot] = Step(point[slot], params)
        wanted = Pipeline(self.profile.task, **steps)
        found = self.nearest(wanted)
        if found is None:
            raise InputError(f"estimator {point['estimator']!r} is not allowed for this table")
        return found

    def to_point(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return the point of `space` that stands for a pipeline."""
        point: dict[str, Any] = {}
        for slot in SLOTS:
            step: Step = getattr(pipeline, slot)
            point[slot] = step.name
            point.update({f"{slot}.{step.name}.{key}": value for key, value in step.params.items()})
        return point


def _checked_names(names: Iterable[str], argument: str) -> list[str]:
    known = {item.name for item in PIECES}
    if isinstance(names, str):
        raise InputError(f"`{argument}` must be a list of names of pieces, found the string {names!r}")
    found = list(names)
    for name in found:
        if name not in known:
            raise InputError(f"`{argument}` names the unknown piece {name!r}; known are {', '.join(sorted(known))}")
    return found
