"""The verb `predict_sequence`: which amino acids would fold into a given backbone (inverse folding)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein.problem import as_structure
from gnnlib.heads.protein.residues import AMINO_ACIDS, UNKNOWN, sequence_indices
from gnnlib.results import Result
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.protein.problem import Structure
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["SequenceDesign", "predict_sequence"]

WEIGHTS = "protein-design"
FREE = "-"
"""Letter in `fixed` of a residue that is to be designed."""


@dataclass(frozen=True, eq=False, repr=False)
class SequenceDesign(Result):
    """A sequence proposed for a backbone.

    Parameters
    ----------
    sequence : str of L letters
        The most probable amino acid of each residue; fixed residues as they were given.
    probabilities : float64 array [L, 20]
        Columns in the order ``"ACDEFGHIKLMNPQRSTVWY"``; rows sum to 1.
    native : str of L letters
        Sequence that the structure came with, X where it is unknown. It takes no part in the prediction.
    fixed : str of L letters
        What the caller fixed, ``-`` elsewhere.
    name : str
        Of the structure.
    """

    sequence: str
    probabilities: FloatArray
    native: str
    fixed: str
    name: str = ""

    @property
    def recovery(self) -> float:
        """Share of designed residues that have the native amino acid; NaN when no native one is known."""
        pairs = [(a, b) for a, b, given in self._triples() if b != UNKNOWN and given == FREE]
        return sum(a == b for a, b in pairs) / len(pairs) if pairs else float("nan")

    @property
    def perplexity(self) -> float:
        """Perplexity of the native amino acids at the designed residues, in [1, inf); NaN when none is known.

        20 is a blind guess; the figure says how well the model explains this protein, not how sure it is.
        """
        index = sequence_indices(self.native)
        known = (index < len(AMINO_ACIDS)) & np.array([letter == FREE for letter in self.fixed])
        if not known.any():
            return float("nan")
        shares = self.probabilities[known, index[known]]
        return float(np.exp(-np.mean(np.log(np.maximum(shares, 1e-12)))))

    @property
    def confidence(self) -> FloatArray:
        """Probability of the proposed amino acid at each residue [L]."""
        return np.asarray(self.probabilities.max(axis=1))

    def sample(self, count: int = 1, *, temperature: float = 1.0, seed: Seed = None) -> list[str]:
        """Draw sequences, residue by residue from the probabilities.

        Parameters
        ----------
        count : int >= 1, default 1
        temperature : float > 0, default 1
            Below 1 sequences come closer to `sequence`, above 1 they vary more.
        seed : int, optional
            Default: different every time.

        Raises
        ------
        InputError
            If an argument is out of range.
        """
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise InputError(f"`count` must be an integer >= 1, found {count!r}")
        if not 0.0 < temperature < np.inf:
            raise InputError(f"`temperature` must be a finite number > 0, found {temperature!r}")
        rng = numpy_generator(seed)
        logit = np.log(np.maximum(self.probabilities, 1e-30)) / temperature
        # the largest of logits with Gumbel noise is a draw from the softmax (E. J. Gumbel 1954)
        drawn = np.argmax(logit + rng.gumbel(size=(count, *logit.shape)), axis=2)
        return ["".join(AMINO_ACIDS[i] for i in row) for row in drawn.tolist()]

    def to_fasta(self, path: PathLike | None = None) -> str:
        """Return the sequence in FASTA format, lines of 60 letters; write it when given a path."""
        title = f">{self.name or 'design'} recovery={self.recovery:.3f} perplexity={self.perplexity:.2f}"
        lines = [self.sequence[i : i + 60] for i in range(0, len(self.sequence), 60)]
        text = "\n".join([title, *lines]) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="ascii")
        return text

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the probabilities as a map of residues by amino acids; return the axes."""
        from gnnlib.heads.protein.design_plotting import plot_design  # matplotlib only on demand

        return plot_design(self, ax=ax)

    def _triples(self) -> list[tuple[str, str, str]]:
        return list(zip(self.sequence, self.native, self.fixed, strict=True))

    @property
    def _title(self) -> str:
        return f"SequenceDesign for {self.name}" if self.name else "SequenceDesign"

    def _rows(self) -> list[tuple[str, str]]:
        shown = self.sequence if len(self.sequence) <= 80 else f"{self.sequence[:77]}..."
        rows = [("residues", f"{len(self.sequence):,}"), ("sequence", shown)]
        designed = self.fixed.count(FREE)
        if designed < len(self.fixed):
            rows.append(("fixed", f"{len(self.fixed) - designed}"))
        rows.append(("mean confidence", f"{self.confidence.mean():.0%}"))
        if not np.isnan(self.recovery):
            rows += [("native recovery", f"{self.recovery:.0%}"), ("native perplexity", f"{self.perplexity:.2f}")]
        return rows

    def __repr__(self) -> str:
        return f"SequenceDesign(sequence={self.sequence!r}, name={self.name!r})"


@lru_cache(maxsize=1)
def _shipped() -> GraphModel:
    from gnnlib.encoder import load

    return load(WEIGHTS)


def predict_sequence(
    x: Any, *, fixed: str | None = None, passes: int = 3, model: GraphModel | None = None
) -> SequenceDesign:
    """Propose the amino acids of a backbone (inverse folding).

    Parameters
    ----------
    x : Structure, path or array-like
        What `as_structure` takes. N, CA and C are read, O and CB are placed by ideal geometry; residues without N or C,
        and bare C-alpha traces, get both rebuilt from the trace. The structure's own sequence is not read.
    fixed : str of L letters, optional
        Amino acids that are given, ``-`` or X for residues to be designed. Default: all are designed.
    passes : int >= 1, default 3
        How often the model reads the structure; from the second time on together with its own answer so far.
    model : GraphModel, optional
        Default: the weights that ship with gnnlib.

    Returns
    -------
    SequenceDesign
        Sequence, probabilities, and against the native sequence recovery and perplexity.

    Raises
    ------
    InputError
        If the structure is not one, or `fixed` or `passes` does not fit.

    Notes
    -----
    A design is a guess until it has been made: recovery of native residues is what it was trained for, not stability or
    solubility. Chains were taken out of their complexes in training, so surfaces that bind something are read as
    surfaces. See the card (`gnnlib.encoder.read_card`) for measured recovery.

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> helix = build_backbone(np.full(20, -57.0), np.full(20, -47.0))
    >>> design = predict_sequence(helix, fixed="W" + "-" * 19)
    >>> design.sequence[0], design.probabilities.shape
    ('W', (20, 20))
    """
    structure = as_structure(x)
    given = _check_fixed(fixed, structure)
    if isinstance(passes, bool) or not isinstance(passes, (int, np.integer)) or passes < 1:
        raise InputError(f"`passes` must be an integer >= 1, found {passes!r}")
    from gnnlib.heads.protein.scores.design_scores import design_probabilities  # brings torch along

    index = sequence_indices(given.replace(FREE, UNKNOWN))
    shares = design_probabilities(_shipped() if model is None else model, structure, index, passes=int(passes))
    sequence = "".join(AMINO_ACIDS[i] for i in shares.argmax(axis=1).tolist())
    return SequenceDesign(sequence, shares, structure.sequence, given, structure.name)


def _check_fixed(fixed: str | None, structure: Structure) -> str:
    count = structure.num_residues
    if fixed is None:
        return FREE * count
    if not isinstance(fixed, str) or len(fixed) != count:
        found = f"{len(fixed)} letters" if isinstance(fixed, str) else type(fixed).__name__
        raise InputError(f"`fixed` must be a string of {count} letters, one a residue, found {found}")
    letters = fixed.upper().replace(UNKNOWN, FREE)
    for place, letter in enumerate(letters):
        if letter not in AMINO_ACIDS + FREE:
            raise InputError(
                f"`fixed` must hold letters of {AMINO_ACIDS} or {FREE!r} or {UNKNOWN!r}, found {letter!r} at residue {place}"
            )
    return letters
