"""Trained models on disk: weights as safetensors, everything else on a JSON card beside them; never pickle."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from gnnlib.encoder.encoder import Encoder
from gnnlib.encoder.head import Head
from gnnlib.errors import InputError, WeightsError
from gnnlib.graphs.schema import GraphSpec

if TYPE_CHECKING:
    from gnnlib.encoder.model import GraphModel
    from gnnlib.typing import PathLike

__all__ = ["Card", "list_weights", "load", "load_model", "read_card", "save_model"]

WEIGHTS_DIR = Path(__file__).resolve().parent.parent / "weights"
FORMAT = 1
_SPEC_MARK = "GraphSpec"


@dataclass(frozen=True)
class Card:
    """What one should know about a set of weights.

    Parameters
    ----------
    name : str
        Name of the model, that of its files.
    purpose : str
        What it is for, in one sentence.
    command : str
        The command that trained it.
    data : str
        What it was trained on.
    seed : int or None
        Seed of the training run.
    seconds : float or None
        Wall-clock time of the training run.
    machine, date, commit : str
        Where, when and with which sources it was trained.
    metrics : dict of str to float
        Quality measured on held-out data.
    licence : str
        Licence of the weights.
    encoder : dict
        Arguments of the `Encoder`; filled in on saving, as are all the following.
    specs : list of dict
        The encoder's specs.
    head : str
        Class of the head, as ``module:Class``.
    head_config : dict
        Arguments of the head.
    sha256 : str
        Digest of the weight file.
    format : int
        Version of this layout.

    Examples
    --------
    >>> Card("tsp-small", purpose="scores edges of tours", metrics={"average precision": 0.9}).name
    'tsp-small'
    """

    name: str
    purpose: str = ""
    command: str = ""
    data: str = ""
    seed: int | None = None
    seconds: float | None = None
    machine: str = ""
    date: str = ""
    commit: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    licence: str = "MIT"
    encoder: dict[str, Any] = field(default_factory=dict)
    specs: list[dict[str, Any]] = field(default_factory=list)
    head: str = ""
    head_config: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def list_weights() -> list[str]:
    """Return the names of the models that ship with gnnlib.

    Examples
    --------
    >>> isinstance(list_weights(), list)
    True
    """
    return sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


def load(name_or_path: PathLike) -> GraphModel:
    """Return a trained model, ready for inference.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of `list_weights`, or the path that `GraphModel.save` was given.

    Raises
    ------
    WeightsError
        If there is no such model, a file is damaged, or weights and card do not fit together.

    Examples
    --------
    >>> load("no-such-model")
    Traceback (most recent call last):
        ...
    gnnlib.errors.WeightsError: no weights named 'no-such-model' ...
    """
    from gnnlib.encoder.model import GraphModel

    return GraphModel.load(_resolve(name_or_path)).eval()


def read_card(name_or_path: PathLike) -> Card:
    """Return the card of a model without its weights.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of `list_weights`, or the path that `GraphModel.save` was given.

    Raises
    ------
    WeightsError
        If there is no such model, or the card is damaged.
    """
    return _read_card(_files(_resolve(name_or_path))[1])


def save_model(path: PathLike, encoder: Encoder, head: Head, card: Card | None) -> Card:
    """Write weights and card; return the card as written."""
    weights_path, card_path = _files(path)
    state = {
        f"{part}.{key}": value.detach().cpu().contiguous()
        for part, module in (("encoder", encoder), ("head", head))
        for key, value in module.state_dict().items()
    }
    data = save_tensors(state)
    card = replace(
        card or Card(weights_path.stem),
        encoder=encoder.config.to_dict(),
        specs=[asdict(spec) for spec in encoder.specs.values()],
        head=f"{type(head).__module__}:{type(head).__qualname__}",
        head_config={key: _to_plain(value) for key, value in head.config().items()},
        sha256=hashlib.sha256(data).hexdigest(),
        format=FORMAT,
    )
    try:
        text = json.dumps(card.to_dict(), indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise WeightsError(f"the card of {card.name!r} must hold plain JSON values: {error}") from error
    _write(weights_path, data)
    _write(card_path, text.encode())
    return card


def load_model(path: PathLike, head: Head | None) -> tuple[Encoder, Head, Card]:
    """Read weights and card, rebuild encoder and head, and fill them."""
    weights_path, card_path = _files(path)
    card = _read_card(card_path)
    try:
        data = weights_path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {weights_path}: {error}") from error
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise WeightsError(f"{weights_path} does not have the sha256 of its card; the file is damaged or was replaced")
    try:
        state = load_tensors(data)
    except SafetensorError as error:
        raise WeightsError(f"{weights_path} is not a safetensors file: {error}") from error
    try:
        encoder = Encoder([GraphSpec(**spec) for spec in card.specs], **card.encoder)
    except (InputError, TypeError) as error:
        raise WeightsError(f"{card_path} does not describe an encoder: {error}") from error
    if head is None:
        head = _build_head(card, card_path)
    for part, module in (("encoder", encoder), ("head", head)):
        own = {key.partition(".")[2]: value for key, value in state.items() if key.startswith(part + ".")}
        for dtype in {value.dtype for value in own.values() if value.is_floating_point()} - {torch.float32}:
            module.to(dtype)
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            raise WeightsError(f"{weights_path} does not fit the {part} {type(module).__name__}: {error}") from error
    return encoder, head, card


def _build_head(card: Card, card_path: Path) -> Head:
    module_name, _, class_name = card.head.partition(":")
    # only names that are gnnlib's own or loaded already: a card must not be able to import just anything
    if module_name.split(".")[0] == "gnnlib":
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise WeightsError(f"{card_path} names the head {card.head!r}: {error}") from error
    elif module_name in sys.modules:
        module = sys.modules[module_name]
    else:
        raise WeightsError(f"{card_path} needs the head {card.head!r}; import its module first or pass `head=`")
    found: Any = module
    for part in class_name.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Head)):
        raise WeightsError(f"{card_path} must name a subclass of Head, found {card.head!r}")
    try:
        return found(**{key: _from_plain(value) for key, value in card.head_config.items()})
    except (InputError, TypeError) as error:
        raise WeightsError(f"{card_path} does not describe a {class_name}: {error}") from error


def _to_plain(value: Any) -> Any:
    if isinstance(value, GraphSpec):
        return {_SPEC_MARK: asdict(value)}
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(item) for item in value]
    return value


def _from_plain(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_SPEC_MARK}:
            return GraphSpec(**value[_SPEC_MARK])
        return {key: _from_plain(item) for key, item in value.items()}
    return [_from_plain(item) for item in value] if isinstance(value, list) else value


def _files(path: PathLike) -> tuple[Path, Path]:
    text = os.fspath(path)
    stem = text.removesuffix(".safetensors").removesuffix(".json")
    return Path(stem + ".safetensors"), Path(stem + ".json")


def _resolve(name_or_path: PathLike) -> Path:
    known = list_weights()
    text = os.fspath(name_or_path)
    if text in known:
        return WEIGHTS_DIR / text
    if not any(path.exists() for path in _files(text)):
        raise WeightsError(f"no weights named {text!r} and no such file; shipped are: {', '.join(known) or 'none yet'}")
    return Path(text)


def _read_card(path: Path) -> Card:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read the card {path}: {error}") from error
    known = {item.name for item in fields(Card)}
    if not isinstance(content, dict) or "name" not in content or not set(content) <= known:
        raise WeightsError(f"the card {path} must be a JSON object with `name` and only these keys: {sorted(known)}")
    if content.get("format") != FORMAT:
        raise WeightsError(f"the card {path} has format {content.get('format')!r}; this gnnlib reads format {FORMAT}")
    return Card(**content)


def _write(path: Path, data: bytes) -> None:
    # first beside it, then in its place: an interrupt leaves the old file whole
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
