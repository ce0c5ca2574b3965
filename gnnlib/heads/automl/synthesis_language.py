"""Sentences of the pipeline language as places to walk between: edits insert, delete or substitute one piece or value.

The actions are those of I. Drori et al., *AlphaD3M: machine learning pipeline synthesis* (2018), section 3: insert,
delete and substitute a primitive. With the grammar an edit that breaks a rule is repaired by changing the pieces around
it, and left out when it cannot be; so every place is a valid pipeline (I. Drori et al., *Automatic machine learning by
pipeline synthesis using model-based reinforcement learning and a grammar*, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.automl.pieces import SLOTS, Slot, piece
from gnnlib.heads.automl.pipelines import Pipeline, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gnnlib.heads.automl.grammar import Grammar
    from gnnlib.heads.automl.table import Task
    from gnnlib.typing import IntArray

__all__ = ["EMPTY", "DerivationSpace", "Edit", "PipelineLanguage"]

EMPTY = 0
"""Number of the place where a derivation begins: nothing is chosen yet."""

_SAME = 1e-6
"""Values nearer to the default than this share of their range are the default."""

_Levels = dict[tuple[Slot, str, str], list[Any]]


@dataclass(frozen=True)
class Edit:
    """One change of a pipeline.

    Parameters
    ----------
    slot : str
        Where.
    piece : str
        The piece that stands there afterwards, or whose value changes; ``none`` deletes.
    parameter : str
        Name of the hyper-parameter; empty when the piece itself is changed.
    value : object
        Its new value.

    Examples
    --------
    >>> print(Edit("estimator", "svm"), Edit("estimator", "svm", "C", 10.0))
    estimator := svm svm.C := 10
    """

    slot: Slot
    piece: str
    parameter: str = ""
    value: Any = None

    def __str__(self) -> str:
        if not self.parameter:
            return f"{self.slot} := {self.piece}"
        value = f"{self.value:.3g}" if isinstance(self.value, float) else str(self.value)
        return f"{self.piece}.{self.parameter} := {value}"

    def kind(self, before: Pipeline | None) -> str:
        """Return "insert", "delete" or "substitute", as seen from the pipeline `before` the edit."""
        old = "none" if before is None else getattr(before, self.slot).name
        if self.parameter or (old != "none" and self.piece != "none"):
            return "substitute"
        return "insert" if old == "none" else "delete"


class PipelineLanguage:
    """The words that a search may use, and which sentences are valid.

    Make one with `from_grammar` for a table, or with `from_sentences` for a fixed list.

    Attributes
    ----------
    task : {"classification", "regression"}
    edits : tuple of Edit
        All actions, in a fixed order: pieces first, then values.

    Examples
    --------
    >>> language = PipelineLanguage.from_sentences(
    ...     [Pipeline("regression", Step("tree")), Pipeline("regression", Step("ridge"), scale=Step("standard"))]
    ... )
    >>> [str(edit) for edit in language.edits]
    ['scale := none', 'scale := standard', 'estimator := tree', 'estimator := ridge']
    >>> print(language.apply(Pipeline("regression", Step("tree")), language.edits[3]))
    median > ordinal > standard > ridge > none
    """

    def __init__(self, task: Task, rules: _Skeletons | _Sentences, words: Sequence[Edit]) -> None:
        self.task = task
        self._rules = rules
        self.edits = tuple(words)
        self._after: dict[tuple[Pipeline | None, bool], tuple[Pipeline | None, ...]] = {}

    @classmethod
    def from_grammar(cls, grammar: Grammar, *, levels: int = 4) -> PipelineLanguage:
        """Return the language of a table.

        Parameters
        ----------
        grammar : Grammar
        levels : int >= 1, default 4
            Values that a numeric hyper-parameter may be set to, spread over its range; its default is one more.
        """
        if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)) or levels < 1:
            raise InputError(f"`levels` must be an integer >= 1, found {levels!r}")
        task = grammar.profile.task
        words = {slot: dict.fromkeys(names[i] for names in grammar.skeletons) for i, slot in enumerate(SLOTS)}
        values: _Levels = {}
        for slot, names in words.items():
            for name in names:
                for key, (parameter, default) in piece(task, slot, name).parameters.items():
                    place = parameter.to_unit(default)
                    others = [v for v in parameter.levels(levels) if abs(parameter.to_unit(v) - place) > _SAME]
                    values[slot, name, key] = sorted([*others, default], key=parameter.to_unit)
        return cls(task, _Skeletons(grammar), _edits(words, values))

    @classmethod
    def from_sentences(cls, sentences: Iterable[Pipeline]) -> PipelineLanguage:
        """Return the language whose sentences are those of a list, as of a stored table of results.

        Raises
        ------
        InputError
            If the list is empty or names two tasks.
        """
        known = list(dict.fromkeys(sentences))
        tasks = {sentence.task for sentence in known}
        if len(tasks) != 1:
            raise InputError(f"a language needs sentences of one task, found {len(known)} sentences of {sorted(tasks)}")
        words: dict[Slot, dict[str, None]] = {slot: {} for slot in SLOTS}
        values: dict[tuple[Slot, str, str], dict[Any, None]] = {}
        for sentence in known:
            for slot in SLOTS:
                step: Step = getattr(sentence, slot)
                words[slot][step.name] = None
                for key, value in step.params.items():
                    values.setdefault((slot, step.name, key), {})[value] = None
        task = known[0].task
        listed = {key: _sorted(task, key, found) for key, found in values.items() if len(found) > 1}
        return cls(task, _Sentences(known), _edits(words, listed))

    def is_valid(self, pipeline: Pipeline) -> bool:
        """Return whether a pipeline is a sentence."""
        return pipeline.task == self.task and self._rules.contains(pipeline)

    def apply(self, before: Pipeline | None, edit: Edit, *, use_grammar: bool = True) -> Pipeline | None:
        """Return the pipeline after an edit; None when it changes nothing or cannot be made.

        Parameters
        ----------
        before : Pipeline or None
            None is the empty sentence, to which only an estimator can be added.
        edit : Edit
        use_grammar : bool
            Repair what the edit breaks, and never return what is no sentence. Without it anything goes.
        """
        after = self._edited(before, edit)
        if after is not None and use_grammar:
            after = self._rules.nearest(after, edit)
        return None if after == before else after

    def successors(self, before: Pipeline | None, *, use_grammar: bool = True) -> tuple[Pipeline | None, ...]:
        """Return what `apply` says of every edit; remembered, for many searches may walk over one language."""
        known = self._after.get((before, use_grammar))
        if known is None:
            known = tuple(self.apply(before, edit, use_grammar=use_grammar) for edit in self.edits)
            self._after[before, use_grammar] = known
        return known

    def _edited(self, before: Pipeline | None, edit: Edit) -> Pipeline | None:
        if before is None:
            is_start = edit.slot == "estimator" and not edit.parameter
            return Pipeline(self.task, Step(edit.piece)) if is_start else None
        held: Step = getattr(before, edit.slot)
        if not edit.parameter:
            return None if held.name == edit.piece else before.replace(**{edit.slot: Step(edit.piece)})
        if held.name != edit.piece or held.params.get(edit.parameter, edit.value) == edit.value:
            return None  # another piece, a parameter that does not exist beside the others, or the same value
        return before.replace(**{edit.slot: Step(edit.piece, {**held.params, edit.parameter: edit.value})})


class DerivationSpace:
    """Numbers the places of a language as they are met, and remembers where each edit leads.

    Parameters
    ----------
    language : PipelineLanguage
    use_grammar : bool
        Whether edits are repaired.

    Attributes
    ----------
    pipelines : list of Pipeline or None
        By number; the first is the empty sentence.
    """

    def __init__(self, language: PipelineLanguage, *, use_grammar: bool = True) -> None:
        self.language = language
        self.use_grammar = use_grammar
        self.pipelines: list[Pipeline | None] = [None]
        self._numbers: dict[Pipeline, int] = {}
        self._next: dict[int, IntArray] = {}

    def number(self, pipeline: Pipeline) -> int:
        """Return the number of a pipeline, a new one at its first mention."""
        found = self._numbers.get(pipeline)
        if found is None:
            found = self._numbers[pipeline] = len(self.pipelines)
            self.pipelines.append(pipeline)
        return found

    def successors(self, place: int) -> IntArray:
        """Return where each edit leads, int array [A]; -1 where it cannot be made."""
        known = self._next.get(place)
        if known is None:
            found = self.language.successors(self.pipelines[place], use_grammar=self.use_grammar)
            known = np.array([-1 if after is None else self.number(after) for after in found], dtype=np.int64)
            self._next[place] = known
        return known


class _Skeletons:
    """Rules of a table: pieces must agree, values are free."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._names = np.array(grammar.skeletons)

    def contains(self, pipeline: Pipeline) -> bool:
        return self.grammar.is_valid(pipeline)

    def nearest(self, pipeline: Pipeline, edit: Edit) -> Pipeline | None:
        if self.grammar.is_valid(pipeline):
            return pipeline
        wanted = np.array(pipeline.skeleton)
        fits = (self._names[:, SLOTS.index(edit.slot)] == edit.piece) & (self._names[:, 4] == wanted[4])
        if not fits.any():
            return None
        found = self._names[fits]
        best = found[int((found == wanted).sum(axis=1).argmax())]
        steps = {
            slot: getattr(pipeline, slot) if name == old else Step(str(name))
            for slot, name, old in zip(SLOTS, best, wanted, strict=True)
        }
        return Pipeline(pipeline.task, **steps)


class _Sentences:
    """Rules of a list: what stands in it is valid."""

    def __init__(self, sentences: Sequence[Pipeline]) -> None:
        self._sentences = list(sentences)
        self._known = frozenset(self._sentences)
        self._items = [_items(sentence) for sentence in self._sentences]

    def contains(self, pipeline: Pipeline) -> bool:
        return pipeline in self._known

    def nearest(self, pipeline: Pipeline, edit: Edit) -> Pipeline | None:
        if pipeline in self._known:
            return pipeline
        wanted = _items(pipeline)
        needed: set[tuple[Any, ...]] = {(edit.slot, edit.piece), ("estimator", pipeline.estimator.name)}
        if edit.parameter:
            needed.add((edit.slot, edit.piece, edit.parameter, edit.value))
        fits = [i for i, items in enumerate(self._items) if needed <= items]
        if not fits:
            return None
        return self._sentences[max(fits, key=lambda i: len(self._items[i] & wanted))]


def _items(pipeline: Pipeline) -> set[tuple[Any, ...]]:
    found: set[tuple[Any, ...]] = set()
    for slot in SLOTS:
        step: Step = getattr(pipeline, slot)
        found.add((slot, step.name))
        found.update((slot, step.name, key, value) for key, value in step.params.items())
    return found


def _sorted(task: Task, key: tuple[Slot, str, str], values: Iterable[Any]) -> list[Any]:
    parameter = piece(task, key[0], key[1]).parameters[key[2]][0]
    return sorted(values, key=parameter.to_unit)


def _edits(words: Mapping[Slot, Iterable[str]], levels: Mapping[tuple[Slot, str, str], Sequence[Any]]) -> list[Edit]:
    choices = {slot: list(names) for slot, names in words.items()}
    free = [slot for slot, names in choices.items() if len(names) > 1 or slot == "estimator"]
    pieces = [Edit(slot, name) for slot in free for name in choices[slot]]
    return pieces + [Edit(*key, value) for key, values in levels.items() for value in values]
