"""The one graph encoder that all heads share, what a head is, and how trained models are stored.

.. code-block:: text

    graph --Encoder--> Embedding(node [N, W], edge [E, W], graph [B, W]) --Head--> Output

`Encoder` keeps one small input adapter per `GraphSpec` around one trunk; a `Head` reads the embedding of its domain;
`GraphModel` is both together, with a card, and is what gets trained, saved and loaded.
"""

from gnnlib.encoder.config import EncoderConfig
from gnnlib.encoder.cpu import tune_cpu
from gnnlib.encoder.encoder import Embedding, Encoder
from gnnlib.encoder.head import Head, Output
from gnnlib.encoder.initialise import seeded_parameters
from gnnlib.encoder.model import GraphModel
from gnnlib.encoder.parallel import one_thread
from gnnlib.encoder.pretrained import Card, list_weights, load, read_card

__all__ = [
    "Card",
    "Embedding",
    "Encoder",
    "EncoderConfig",
    "GraphModel",
    "Head",
    "Output",
    "list_weights",
    "load",
    "one_thread",
    "read_card",
    "seeded_parameters",
    "tune_cpu",
]
