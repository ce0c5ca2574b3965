"""Tree search over edits of pipelines, one question and one answer at a time.

With the network every question is a plan: PUCT walks through edits from the empty sentence and from the best pipeline
so far; its last action is "try this one", whose reward is what `Belief` expects of the trial. Without the network there
is nothing to plan with: PUCT has even priors, every leaf is tried and its score backed up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.automl.synthesis_language import EMPTY, DerivationSpace
from gnnlib.search.mcts import MCTSConfig, puct_search
from gnnlib.search.step import RecurrentOutput, RootOutput
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.stop import StopCriterion

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.heads.automl.synthesis_belief import Belief
    from gnnlib.search.tree import SearchTree
    from gnnlib.seeding import Seed
    from gnnlib.stop import StopClock
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["Place", "SynthesisSearch"]

State = tuple[int, int]
"""Number of a place and edits made on the way to it; -1 edits after it was chosen for a trial."""

_WASTED = 400
"""Simulations in a row without a new place after which the space counts as used up."""


@dataclass
class Place:
    """A pipeline that the search walked over.

    Attributes
    ----------
    parent : int
        Place from which it was first reached; -1 for the empty sentence.
    edit : int
        The edit that led here.
    visits : int
        Simulations that ended there or further on, in all plans.
    """

    parent: int
    edit: int
    visits: int = 0


class _NeedsScoreError(Exception):
    """A simulation has come to a pipeline whose score is not known."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class _UsedUp(StopCriterion):
    """Stop once many simulations in a row have found nothing new."""

    def __init__(self, search: SynthesisSearch) -> None:
        self._search = search
        self._since = 0

    def is_met(self, clock: StopClock) -> bool:
        if self._search.has_news:
            self._since, self._search.has_news = clock.iterations, False
        return clock.iterations - self._since > _WASTED


class SynthesisSearch:
    """Asks for the score of one pipeline after another.

    Parameters
    ----------
    space : DerivationSpace
    belief : Belief, optional
        Without one every leaf is tried.
    simulations : int
        Of one plan.
    depth : int
        Most edits from a root.
    exploration : float
        First constant of the PUCT rule.
    seed : int, default 0
        Drives the noise at the roots.
    """

    def __init__(
        self,
        space: DerivationSpace,
        belief: Belief | None,
        *,
        simulations: int,
        depth: int,
        exploration: float,
        seed: Seed = 0,
    ) -> None:
        self.space, self.belief = space, belief
        self.simulations, self.depth, self.exploration = simulations, depth, exploration
        self.scores: dict[int, float] = {}
        self.walked: dict[int, Place] = {EMPTY: Place(-1, -1)}
        self.tree: SearchTree | None = None
        self.has_news = True
        self._seed = spawn_seeds(seed, 1)[0]
        self._noise = numpy_generator(self._seed).gumbel(size=len(space.language.edits)) * 1e-3
        self._asked = 0
        self._evaluate: Callable[[Pipeline], float | None] = lambda _pipeline: None

    def ask(self) -> Pipeline | None:
        """Return the pipeline whose score should be found next; None when no new one can be reached."""
        self._asked += 1
        place = self._explore() if self.belief is None else self._plan(self.belief)
        return None if place is None else self.space.pipelines[place]

    def run(self, evaluate: Callable[[Pipeline], float | None]) -> None:
        """Ask and tell until `evaluate` returns None, or no new pipeline can be reached.

        Without the network the tree grows on instead of being searched anew for every question.
        """
        self._evaluate = evaluate
        if self.belief is None:
            self._explore()
            return
        while (pipeline := self.ask()) is not None:
            score = evaluate(pipeline)
            if score is None:
                return
            self.tell(pipeline, score)

    def tell(self, pipeline: Pipeline, score: float) -> None:
        """Take in a score, higher is better; what is not finite is a failure. Pipelines need not have been asked for."""
        self.scores[self.note(pipeline)] = score if math.isfinite(score) else -math.inf

    def note(self, pipeline: Pipeline) -> int:
        """Return the number of a pipeline, which is part of the tree from now on."""
        place = self.space.number(pipeline)
        self.walked.setdefault(place, Place(EMPTY, -1))
        return place

    def derivation(self, place: int) -> list[int]:
        """Return the places from the empty sentence to this one, along which it was first reached."""
        path = [place]
        while self.walked[path[-1]].parent >= 0:
            path.append(self.walked[path[-1]].parent)
        return path[::-1]

    def _best(self) -> int:
        finite = {place: score for place, score in self.scores.items() if math.isfinite(score)}
        return max(finite, key=lambda place: finite[place]) if finite else EMPTY

    # With the network ------------------------------------------------------------------------------------------------

    def _plan(self, belief: Belief) -> int | None:
        belief.learn(self.scores)
        roots = list(dict.fromkeys([EMPTY, self._best()]))
        config = MCTSConfig(
            num_simulations=self.simulations,
            batch_size=8,
            c_init=self.exploration,
            normalise_values=True,
            noise_fraction=0.1,
            noise_alpha=0.3,
        )
        states = [(place, 0) for place in roots]
        logits, legal = self._choices(states)
        root = RootOutput(logits, belief.gains(roots), states, legal)
        if not legal.any(axis=1).all():
            return None
        tree = puct_search(root, self._step, config=config, seed=self._seed + self._asked)
        self._note(tree)
        chosen = {state[0] for nodes in tree.embeddings or [] for state in nodes if state is not None and state[1] < 0}
        found = sorted(place for place in chosen if place not in self.scores)
        if not found:
            found = sorted(place for place in self.walked if place != EMPTY and place not in self.scores)
        if not found:
            return None
        return found[int(np.argmax(belief.gains(found)))]

    def _step(self, states: list[State], actions: IntArray) -> RecurrentOutput:
        belief = self.belief
        if belief is None:
            raise TypeError("a plan needs a belief")
        stop = len(self.space.language.edits)
        tries = actions == stop
        after: list[State] = [
            (place, -1) if action == stop else (int(self.space.successors(place)[action]), made + 1)
            for (place, made), action in zip(states, actions.tolist(), strict=True)
        ]
        gains = belief.gains([place for place, _ in after])
        logits, legal = self._choices(after)
        return RecurrentOutput(np.where(tries, gains, 0.0), np.where(tries, 0.0, 1.0), logits, gains, after, legal)

    def _choices(self, states: list[State]) -> tuple[FloatArray, BoolArray]:
        """Return the policy's scores of edits and of the trial itself, and which of them are possible, [n, A + 1]."""
        count = len(self.space.language.edits)
        logits, legal = np.zeros((len(states), count + 1)), np.zeros((len(states), count + 1), dtype=np.bool_)
        if self.belief is not None:
            self.belief.prepare([place for place, _ in states])
        for row, (place, made) in enumerate(states):
            if made < 0:
                continue
            if made < self.depth:
                legal[row, :count] = self.space.successors(place) >= 0
            legal[row, count] = place != EMPTY and place not in self.scores
            if self.belief is not None:
                logits[row, :count] = self.belief.logits(place)
                # to try what stands here is as likely as the likeliest edit
                logits[row, count] = logits[row, :count][legal[row, :count]].max(initial=-30.0)
        return logits, legal

    def _note(self, tree: SearchTree) -> None:
        """Add the visits of a plan to those of earlier ones."""
        self.tree = tree
        for root, nodes in enumerate(tree.embeddings or []):
            for node in range(int(tree.num_nodes[root])):
                place, made = nodes[node]
                if made < 0:
                    continue
                before = int(tree.parents[root, node])
                edit = int(tree.actions[root, node])
                self._visit(place, Place(nodes[before][0] if before >= 0 else EMPTY, edit))

    def _visit(self, place: int, where: Place) -> None:
        """Count a simulation that ended at a place for all places on the way to it."""
        self.walked.setdefault(place, where)
        for step in self.derivation(place):
            self.walked[step].visits += 1

    # Without the network ---------------------------------------------------------------------------------------------

    def _explore(self) -> int | None:
        """Search again with the scores known so far until a leaf is met that has none.

        The search is a function of the scores, so this is the same tree, grown by one simulation or a few.
        """
        count = len(self.space.language.edits)
        state = [(EMPTY, 0)]
        legal = self.space.successors(EMPTY)[None] >= 0
        if not legal.any():
            return None

        def step(states: list[State], actions: IntArray) -> RecurrentOutput:
            after: list[State] = []
            value = np.zeros(len(states))
            allowed = np.zeros((len(states), count), dtype=np.bool_)
            for row, ((place, made), action) in enumerate(zip(states, actions.tolist(), strict=True)):
                following = int(self.space.successors(place)[action])
                self._visit(following, Place(place, action))
                value[row] = self._known_score(following)
                if made + 1 < self.depth:
                    allowed[row] = self.space.successors(following) >= 0
                after.append((following, made + 1))
            logits = np.repeat(self._noise[None], len(states), axis=0)
            return RecurrentOutput(np.zeros(len(states)), np.ones(len(states)), logits, value, after, allowed)

        for place in self.walked.values():
            place.visits = 0
        self.has_news = True
        config = MCTSConfig(num_simulations=None, c_init=self.exploration, normalise_values=True)
        stop = _UsedUp(self)
        root = RootOutput(self._noise[None], [0.0], state, legal)
        try:
            self.tree = puct_search(root, step, config=config, stop=stop)
        except _NeedsScoreError as found:
            return found.place
        return None

    def _known_score(self, place: int) -> float:
        """Return the score of a place, a failure counting as the lowest so far; ask for it if that is possible."""
        if place not in self.scores:
            self.has_news = True
            pipeline = self.space.pipelines[place]
            found = None if pipeline is None else self._evaluate(pipeline)
            if pipeline is None or found is None:
                raise _NeedsScoreError(place)
            self.tell(pipeline, found)
        score = self.scores[place]
        return score if math.isfinite(score) else min(filter(math.isfinite, self.scores.values()), default=0.0)
