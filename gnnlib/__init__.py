"""gnnlib: one shared graph encoder, a head per application, answers found by search and certified.

The public names are listed in ``__init__.pyi`` and loaded on first use, so that ``import gnnlib`` costs neither torch
nor matplotlib.
"""

import logging

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

logging.getLogger(__name__).addHandler(logging.NullHandler())
