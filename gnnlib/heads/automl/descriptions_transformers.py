"""Descriptions read by a sentence transformer instead of counted words: an extra, with a model that the user has.

N. Reimers and I. Gurevych, *Sentence-BERT: sentence embeddings using Siamese BERT-networks* (2019). Nothing is ever
downloaded: the model is a folder, or a name that is in the local cache already.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gnnlib.errors import InputError, MissingExtraError
from gnnlib.heads.automl.descriptions import clean_description

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gnnlib.typing import AnyArray, FloatArray

__all__ = ["SentenceEmbedding", "load_transformer"]


@functools.lru_cache(maxsize=2)
def load_transformer(model: str) -> Any:
    """Return the sentence transformer of a folder or of a name in the local cache.

    Parameters
    ----------
    model : str

    Raises
    ------
    MissingExtraError
        If sentence-transformers is not installed.
    InputError
        If there is no such model on this machine.
    """
    try:
        module = importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "text") from error
    try:
        return module.SentenceTransformer(model, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"there is no sentence transformer {model!r} on this machine; give the folder of one, or fetch it first: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error


@dataclass(frozen=True)
class SentenceEmbedding:
    """Sentences to a vector of a few numbers: the main directions of a transformer's vectors over a corpus.

    Attributes
    ----------
    model : str
        Folder, or name in the local cache, of the sentence transformer; loaded at the first use.
    centre : array [V]
        Mean vector of the corpus.
    components : array [L, V]
        Its main directions.
    """

    model: str
    centre: FloatArray
    components: FloatArray

    @classmethod
    def fit(cls, texts: Sequence[str | None], model: str, *, size: int = 24) -> Self:
        """Learn the main directions from a corpus.

        Parameters
        ----------
        texts : sequence of str or None
            Descriptions; passages that report earlier results are cut out here.
        model : str
        size : int >= 1, default 24
            Dimensions L; fewer when the corpus is smaller.

        Raises
        ------
        MissingExtraError
            If sentence-transformers is not installed.
        InputError
            If there is no such model, or no description says anything.
        """
        cleaned = [text for text in (clean_description(text or "") for text in texts) if text]
        if not cleaned:
            raise InputError(f"none of the {len(texts)} descriptions says anything")
        vectors = _encode(model, cleaned)
        centre = vectors.mean(axis=0)
        _, _, right = np.linalg.svd(vectors - centre, full_matrices=False)
        # The sign of a singular vector is arbitrary; fixing it makes the embedding reproducible.
        signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
        return cls(str(model), centre, (right * signs[:, None])[:size])

    def transform(self, texts: Sequence[str | None]) -> FloatArray:
        """Return vectors [n, L] of length 1; zeros for an empty text."""
        cleaned = [clean_description(text or "") for text in texts]
        said = [row for row, text in enumerate(cleaned) if text]
        found = np.zeros((len(cleaned), len(self.components)))
        if said:
            vectors = (_encode(self.model, [cleaned[row] for row in said]) - self.centre) @ self.components.T
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            found[said] = vectors / np.where(length > 1e-9, length, 1.0)
        return found

    def to_arrays(self) -> Mapping[str, AnyArray]:
        """Return arrays that `from_arrays` reads; of the transformer only the name."""
        return {
            "model": np.array(self.model),
            "centre": self.centre.astype(np.float32),
            "components": self.components.astype(np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Self:
        """Read what `to_arrays` made."""
        return cls(str(arrays["model"]), arrays["centre"].astype(np.float64), arrays["components"].astype(np.float64))


def _encode(model: str, texts: list[str]) -> FloatArray:
    vectors = np.asarray(load_transformer(model).encode(texts, show_progress_bar=False), dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
        raise InputError(f"the model {model!r} must give a finite vector a text, found shape {vectors.shape}")
    return vectors
