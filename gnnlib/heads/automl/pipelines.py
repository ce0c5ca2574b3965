"""A pipeline as a value: five typed pieces, a text that says the same, and a hash.

The five pieces stand in the order *impute > encode > scale and reduce > estimator > post-process* of I. Drori et al.,
*AlphaD3M* (2018) and I. Drori et al., *Automatic machine learning by pipeline synthesis using model-based
reinforcement learning and a grammar* (2019). The third holds two slots, of which either may be ``none``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gnnlib.errors import InputError
from gnnlib.heads.automl.pieces import SLOTS, Piece, Slot, piece, pieces_of
from gnnlib.heads.automl.table import TASKS, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sklearn.pipeline

    from gnnlib.heads.automl.table import MatrixLayout

__all__ = ["Pipeline", "Step"]

_STEP = re.compile(r"^([A-Za-z_]\w*)(?:\((.*)\))?$")


@dataclass(frozen=True)
class Step:
    """A piece with its hyper-parameters.

    Parameters
    ----------
    name : str
        Name of the piece.
    params : mapping, optional
        Values that differ from the defaults, or all.

    Examples
    --------
    >>> print(Step("knn", {"p": 1}))
    knn(p=1)
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.params:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.params.items())})"

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.params.items()))))


@dataclass(frozen=True)
class Pipeline:
    """A sentence of the pipeline language, checked and completed with defaults.

    Whether it suits a table is a matter of `gnnlib.heads.automl.grammar`.

    Parameters
    ----------
    task : {"classification", "regression"}
    estimator : Step or str
    impute, encode, scale, reduce, post : Step or str
        Defaults: ``median``, ``ordinal`` and ``none``.

    Attributes
    ----------
    key : str
        Hash of task and text, 16 hexadecimal digits; the same in every process and version that knows the same pieces.

    Raises
    ------
    InputError
        If a piece or a parameter is unknown or a value is outside its range.

    Examples
    --------
    >>> pipeline = Pipeline("classification", Step("svm", {"C": 10.0}), scale="standard")
    >>> print(pipeline)
    median > ordinal > standard > svm(C=10.0) > none
    >>> Pipeline.parse("classification", str(pipeline)) == pipeline
    True
    """

    task: Task
    estimator: Step
    impute: Step = field(default_factory=lambda: Step("median"))
    encode: Step = field(default_factory=lambda: Step("ordinal"))
    scale: Step = field(default_factory=lambda: Step("none"))
    reduce: Step = field(default_factory=lambda: Step("none"))
    post: Step = field(default_factory=lambda: Step("none"))

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise InputError(f"`task` must be one of {TASKS}, found {self.task!r}")
        for slot in SLOTS:
            step = getattr(self, slot)
            step = Step(step) if isinstance(step, str) else step
            if not isinstance(step, Step):
                raise InputError(f"`{slot}` must be a Step or the name of a piece, found {step!r}")
            full = piece(self.task, slot, step.name).complete(step.params)
            object.__setattr__(self, slot, Step(step.name, full))

    def __hash__(self) -> int:
        return hash((self.task, *(getattr(self, slot) for slot in SLOTS)))

    def __str__(self) -> str:
        return " > ".join(self._short(slots) for slots in _PLACES)

    def _short(self, slots: tuple[Slot, ...]) -> str:
        """Text of one place: parameters at their default are left out, and so is ``none`` beside another piece."""
        texts = []
        for slot in slots:
            step: Step = getattr(self, slot)
            defaults = self.piece(slot).complete({})
            chosen = {key: value for key, value in step.params.items() if defaults.get(key, _MISSING) != value}
            texts.append(str(Step(step.name, chosen)))
        return " + ".join(text for text in texts if text != "none") or "none"

    @property
    def key(self) -> str:
        """Hash of task and text."""
        return hashlib.sha256(f"{self.task}: {self}".encode()).hexdigest()[:16]

    @property
    def skeleton(self) -> tuple[str, ...]:
        """Names of the pieces in the order of `SLOTS`, without parameters."""
        return tuple(getattr(self, slot).name for slot in SLOTS)

    @property
    def family(self) -> str:
        """Kind of estimator."""
        return self.piece("estimator").family

    def piece(self, slot: Slot) -> Piece:
        """Return the piece that stands in a slot."""
        return piece(self.task, slot, getattr(self, slot).name)

    def replace(self, **steps: Step | str) -> Pipeline:
        """Return a pipeline with other steps in some slots.

        Examples
        --------
        >>> print(Pipeline("regression", Step("ridge"), scale=Step("standard")).replace(post="log"))
        median > ordinal > standard > ridge > log
        """
        kept: dict[str, Any] = {slot: getattr(self, slot) for slot in SLOTS}
        unknown = set(steps) - set(kept)
        if unknown:
            raise InputError(f"a pipeline has the slots {', '.join(SLOTS)}, found {', '.join(sorted(unknown))}")
        return Pipeline(self.task, **{**kept, **steps})

    @classmethod
    def parse(cls, task: Task, text: str) -> Pipeline:
        """Read the text form.

        Parameters
        ----------
        task : {"classification", "regression"}
        text : str
            Five places joined by ``>``; the third may hold ``scale + reduce``. Parameters left out are defaults.

        Raises
        ------
        InputError
            If the text is no sentence of the language.

        Examples
        --------
        >>> Pipeline.parse("classification", "mean > onehot > quantile + pca > knn(neighbours=3) > none").skeleton
        ('mean', 'onehot', 'quantile', 'pca', 'knn', 'none')
        """
        places = [place.strip() for place in text.split(">")]
        if len(places) != len(_PLACES):
            raise InputError(f"a pipeline has five pieces joined by '>', found {len(places)}: {text!r}")
        steps: dict[str, Step] = {}
        for slots, place in zip(_PLACES, places, strict=True):
            for part in place.split("+") if len(slots) > 1 else [place]:
                step = _read_step(part.strip())
                slot = _slot_of(task, slots, step)
                if step.name == "none" and slot in steps:
                    continue
                if slot in steps:
                    raise InputError(f"two pieces for {slot}: {place!r}")
                steps[slot] = _typed(task, slot, step)
        steps = {slot: step for slot, step in steps.items() if step.name != "none"}
        return cls(task, **steps)

    def to_dict(self) -> dict[str, Any]:
        """Return task and steps as plain values.

        Examples
        --------
        >>> Pipeline("regression", Step("ridge")).to_dict()["estimator"]
        {'name': 'ridge', 'params': {'alpha': 1.0}}
        """
        steps: dict[str, Any] = {}
        for slot in SLOTS:
            step: Step = getattr(self, slot)
            steps[slot] = {"name": step.name, "params": dict(step.params)}
        return {"task": self.task, **steps}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Pipeline:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the task or the estimator is missing or a piece is unknown.
        """
        if "task" not in value or "estimator" not in value:
            raise InputError(f"a pipeline needs `task` and `estimator`, found {sorted(value)}")
        steps = {slot: Step(value[slot]["name"], value[slot].get("params", {})) for slot in SLOTS if slot in value}
        return cls(value["task"], **steps)

    def build(self, layout: MatrixLayout, *, seed: int = 0, rows: int | None = None) -> sklearn.pipeline.Pipeline:
        """Return the unfitted scikit-learn pipeline for a cleaned matrix.

        Parameters
        ----------
        layout : MatrixLayout
            Arrangement of the columns.
        seed : int
            Seed of every random step.
        rows : int, optional
            Rows that it will be fitted on; some settings are capped by it.

        Raises
        ------
        MissingExtraError
            If the estimator's package is not installed.

        Examples
        --------
        >>> from gnnlib.heads.automl.table import MatrixLayout
        >>> steps = Pipeline("regression", Step("ridge"), scale=Step("standard")).build(MatrixLayout(3))
        >>> [name for name, _ in steps.steps]
        ['prepare', 'estimator']
        """
        from gnnlib.heads.automl.pieces_build import build  # imports scikit-learn

        return build(self, layout, seed=seed, rows=rows)


_MISSING = object()
_PLACES: tuple[tuple[Slot, ...], ...] = (("impute",), ("encode",), ("scale", "reduce"), ("estimator",), ("post",))


def _read_step(text: str) -> Step:
    match = _STEP.match(text)
    if match is None:
        raise InputError(f"a piece is written as name or name(key=value, ...), found {text!r}")
    params: dict[str, Any] = {}
    for pair in (match[2] or "").split(","):
        if not pair.strip():
            continue
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"a parameter is written as key=value, found {pair.strip()!r} in {text!r}")
        params[key.strip()] = value.strip()
    return Step(match[1], params)


def _slot_of(task: Task, slots: tuple[Slot, ...], step: Step) -> Slot:
    for slot in slots:
        if step.name != "none" and any(item.name == step.name for item in pieces_of(task, slot)):
            return slot
    if step.name == "none" or len(slots) == 1:
        return slots[0]
    known = ", ".join(item.name for slot in slots for item in pieces_of(task, slot))
    raise InputError(f"there is no piece {step.name!r} between encoder and estimator; known are {known}")


def _typed(task: Task, slot: Slot, step: Step) -> Step:
    """Turn the texts of values into the types of the parameters."""
    known = piece(task, slot, step.name).parameters
    params: dict[str, Any] = {}
    for key, text in step.params.items():
        if key not in known:
            params[key] = text  # `complete` reports it
            continue
        default = known[key][1]
        try:
            params[key] = type(default)(text)
        except ValueError as error:
            raise InputError(f"{step.name}.{key} must be a {type(default).__name__}, found {text!r}") from error
    return Step(step.name, params)
