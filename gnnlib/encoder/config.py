"""The encoder's settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from gnnlib.encoder.mixing import HEAD_WIDTH
from gnnlib.errors import InputError

__all__ = ["PRESETS", "EncoderConfig", "Mixer", "Sharing"]

Mixer = Literal["gated", "attention"]
Sharing = Literal["hard", "adapters", "routed", "separate"]

PRESETS = {"small": (64, 4), "base": (128, 6)}
"""Width and depth of the usual sizes."""

PAIR_HEAD_WIDTH = 16


@dataclass(frozen=True)
class EncoderConfig:
    """Everything but the specs that is needed to rebuild an `Encoder`; the fields are its keyword arguments.

    Raises
    ------
    InputError
        If a value is out of range.

    Examples
    --------
    >>> EncoderConfig(width=64).edge_channels
    32
    """

    width: int = 128
    depth: int = 6
    edge_width: int | None = None
    mixer: Mixer = "gated"
    sharing: Sharing = "adapters"
    full_attention: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"`{name}` of an encoder must be a positive integer, found {value!r}")
        edge_width = self.edge_width
        if edge_width is not None and (
            isinstance(edge_width, bool) or not isinstance(edge_width, int) or edge_width < 1
        ):
            raise InputError(f"`edge_width` of an encoder must be a positive integer or None, found {edge_width!r}")
        if self.edge_channels < 1 or self.edge_channels % HEAD_WIDTH:
            raise InputError(
                f"the edge width (by default half of `width`) must be a multiple of {HEAD_WIDTH}, "
                f"found {self.edge_channels}"
            )
        if self.full_attention and self.width % PAIR_HEAD_WIDTH:
            raise InputError(
                f"full attention needs a `width` that is a multiple of {PAIR_HEAD_WIDTH}, found {self.width}"
            )
        for name, known in (("mixer", get_args(Mixer)), ("sharing", get_args(Sharing))):
            if getattr(self, name) not in known:
                raise InputError(f"`{name}` must be one of {', '.join(known)}, found {getattr(self, name)!r}")

    @property
    def edge_channels(self) -> int:
        """Width D of the edge states inside the trunk."""
        return self.width // 2 if self.edge_width is None else self.edge_width

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)
