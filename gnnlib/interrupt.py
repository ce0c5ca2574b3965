"""Ctrl-C as a request: the running step is finished, then the best answer so far is returned."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = ["DeferredInterrupt"]


class DeferredInterrupt:
    """Context manager that notes the first Ctrl-C instead of raising, so that no data structure is left half updated.

    A second Ctrl-C raises `KeyboardInterrupt` at once. Outside the main thread, and where the program has installed
    its own handler for the signal, nothing is changed and `received` stays False. The former handler comes back on
    leaving the block.

    Attributes
    ----------
    received : bool
        Whether an interrupt has arrived since the block was entered.

    Examples
    --------
    >>> import signal
    >>> with DeferredInterrupt() as interrupt:
    ...     signal.raise_signal(signal.SIGINT)
    ...     interrupt.received
    True
    """

    def __init__(self) -> None:
        self.received = False
        self._installed = False

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (the signature of a handler)
        if self.received:
            raise KeyboardInterrupt
        self.received = True
