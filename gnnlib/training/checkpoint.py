"""Checkpoints: tensors and plain values in one safetensors file, written whole or not at all; never pickle.

The plain values lie as JSON in the header of the same file. Two files could not be replaced in one step, and a crash
between the two would leave weights and progress that do not belong together.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from gnnlib.errors import InputError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from gnnlib.typing import PathLike

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

_KEY = "gnnlib"


class Checkpoint(NamedTuple):
    """What a checkpoint holds.

    Attributes
    ----------
    tensors : dict of str to Tensor
        On the CPU unless asked otherwise.
    state : dict
        Plain values.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(path: PathLike, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint in the place of an older one.

    The file is written beside its final place, flushed to the disk and moved there in one step: at any moment a
    reader finds the old checkpoint or the new one.

    Parameters
    ----------
    path : path-like
        The file; missing folders are made.
    tensors : mapping of str to Tensor
        Tensors that share memory are stored twice.
    state : mapping
        Values that JSON can hold; floats come back exactly.

    Raises
    ------
    InputError
        If `state` holds something that JSON cannot.
    WeightsError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(f"{folder}/a.ckpt", {"w": torch.arange(3)}, {"epoch": 2})
    ...     load_checkpoint(f"{folder}/a.ckpt")
    Checkpoint(tensors={'w': tensor([0, 1, 2])}, state={'epoch': 2})
    """
    try:
        text = json.dumps(dict(state))
    except (TypeError, ValueError) as error:
        raise InputError(f"the state of a checkpoint must hold plain values only: {error}") from error
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, {_KEY: text}))


def load_checkpoint(path: PathLike, device: str = "cpu") -> Checkpoint:
    """Read a checkpoint that `save_checkpoint` wrote.

    Parameters
    ----------
    path : path-like
        The file.
    device : str, default "cpu"
        Where the tensors go.

    Raises
    ------
    WeightsError
        If the file is missing, truncated or damaged, or is no checkpoint.
    """
    if not Path(path).is_file():
        raise WeightsError(f"there is no checkpoint {os.fspath(path)}")
    try:
        with safe_open(os.fspath(path), framework="pt", device=device) as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if _KEY not in header:
            raise WeightsError(f"{os.fspath(path)} holds tensors, but no training state; it is no checkpoint")
        return Checkpoint(tensors, json.loads(header[_KEY]))
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{os.fspath(path)} is truncated or damaged: {error}") from error


def write_atomically(path: PathLike, data: bytes) -> None:
    """Write a file through a temporary one beside it, so that nobody ever sees half of it."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"cannot write {target}: {error.strerror}") from error
