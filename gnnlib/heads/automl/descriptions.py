"""What a sentence about a data set says: cleaned words, weighted by rarity, in a few latent dimensions.

TF-IDF followed by latent semantic analysis (S. Deerwester et al., *Indexing by latent semantic analysis*, 1990) needs
no language model. What past studies scored on a data set is cut out of its description: it would tell the answer.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gnnlib.typing import AnyArray, FloatArray

__all__ = ["TextEmbedding", "clean_description"]

MAX_CHARACTERS = 20_000
"""Longer descriptions are cut; a hundred thousand words say no more about the kind of data."""

_PAST_USAGE = re.compile(
    r"(?:\d+[.)]\s*)?(?:past usage|past results|previous results)\b.*?(?=\n\s*\d+[.)]\s|\Z)", re.IGNORECASE | re.DOTALL
)
_SCORED = re.compile(
    r"[^.\n]*\b(?:accurac(?:y|ies)|error rates?|misclassification|classified correctly|auc|rmse)\b[^.\n]*[.\n]?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_STOP_WORDS = (
    "about above after all also and any are been before between but can could each etc for from had has "
    "have her him his how into its may more most not one only other our out over per she should some such"
    " than that the their there these they this those two use used using very via was were what when "
    "where which who will with would you your"
)
_STOP = frozenset(_WORD.findall(_STOP_WORDS))


def clean_description(text: str) -> str:
    r"""Return a description without passages that report earlier results, in lower case, without numbers.

    Parameters
    ----------
    text : str

    Raises
    ------
    InputError
        If `text` is no string.

    Examples
    --------
    >>> clean_description("1. Title: Iris plants\n2. Past Usage:\n best 95 % accuracy\n3. Number: 150 flowers")
    'title iris plants number flowers'
    """
    if not isinstance(text, str):
        raise InputError(f"a description must be a string, found {type(text).__name__}")
    kept = _SCORED.sub(" ", _PAST_USAGE.sub(" ", text[:MAX_CHARACTERS]))
    return " ".join(word for word in _WORD.findall(kept.lower()) if word not in _STOP)


@dataclass(frozen=True)
class TextEmbedding:
    """Words to a vector of a few numbers.

    Attributes
    ----------
    vocabulary : tuple of V str
    rarity : array [V]
        Inverse document frequencies.
    components : array [L, V]
        Directions of the latent semantic analysis.

    Examples
    --------
    >>> texts = ["iris flowers petals", "flowers garden petals", "bank credit customers", "credit loan customers"]
    >>> embedding = TextEmbedding.fit(texts, size=2)
    >>> near = embedding.transform(["petals of flowers", "a loan for customers"])
    >>> same = near @ embedding.transform(texts).T
    >>> bool(same[0, 0] > same[0, 2]), bool(same[1, 3] > same[1, 1])
    (True, True)
    """

    vocabulary: tuple[str, ...]
    rarity: FloatArray
    components: FloatArray

    @classmethod
    def fit(cls, texts: Sequence[str], *, size: int = 24, min_count: int = 2, max_words: int = 4000) -> Self:
        """Learn words and directions from a corpus.

        Parameters
        ----------
        texts : sequence of str
            Descriptions; cleaned here.
        size : int >= 1, default 24
            Dimensions L; fewer when the corpus has fewer.
        min_count : int, default 2
            Words in fewer texts are left out.
        max_words : int, default 4000
            The most frequent are kept.

        Raises
        ------
        InputError
            If no word is left.
        """
        documents = [clean_description(text).split() for text in texts]
        frequency = Counter(word for words in documents for word in set(words))
        usual = sorted((-count, word) for word, count in frequency.items() if count >= min_count)[:max_words]
        vocabulary = tuple(sorted(word for _, word in usual))
        if not vocabulary:
            raise InputError(f"no word appears in {min_count} of the {len(texts)} descriptions")
        counts = np.array([frequency[word] for word in vocabulary])
        rarity = np.log((1.0 + len(documents)) / (1.0 + counts)) + 1.0
        made = cls(vocabulary, rarity, np.zeros((0, len(vocabulary))))
        weights = made.weigh(documents)
        _, _, right = np.linalg.svd(weights, full_matrices=False)
        # The sign of a singular vector is arbitrary; fixing it makes the embedding reproducible.
        signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
        return cls(vocabulary, rarity, (right * signs[:, None])[:size])

    def weigh(self, documents: Sequence[Sequence[str]]) -> FloatArray:
        """Return the TF-IDF rows [n, V] of lists of words, each of length 1, or 0 without a known word."""
        place = {word: index for index, word in enumerate(self.vocabulary)}
        table = np.zeros((len(documents), len(self.vocabulary)))
        for row, words in enumerate(documents):
            for word, count in Counter(words).items():
                if word in place:
                    table[row, place[word]] = (1.0 + np.log(count)) * self.rarity[place[word]]
        length = np.linalg.norm(table, axis=1, keepdims=True)
        return np.asarray(table / np.where(length > 0, length, 1.0))

    def transform(self, texts: Sequence[str | None]) -> FloatArray:
        """Return vectors [n, L] of length 1; zeros for an empty text or one without a known word.

        Parameters
        ----------
        texts : sequence of str or None
        """
        words = [clean_description(text or "").split() for text in texts]
        table = self.weigh(words) @ self.components.T
        length = np.linalg.norm(table, axis=1, keepdims=True)
        return np.asarray(table / np.where(length > 1e-9, length, 1.0))

    def to_arrays(self) -> Mapping[str, AnyArray]:
        """Return arrays that `from_arrays` reads."""
        return {
            "vocabulary": np.array(self.vocabulary),
            "rarity": self.rarity.astype(np.float32),
            "components": self.components.astype(np.float16),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Self:
        """Read what `to_arrays` made."""
        return cls(
            tuple(str(word) for word in arrays["vocabulary"]),
            arrays["rarity"].astype(np.float64),
            arrays["components"].astype(np.float64),
        )
