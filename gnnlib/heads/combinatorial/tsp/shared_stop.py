"""Ctrl-C for a run in several processes: the first one asks all of them to come to an end with their best."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gnnlib.interrupt import DeferredInterrupt
from gnnlib.stop import StopCriterion

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from gnnlib.stop import StopClock

__all__ = ["SharedInterrupt", "StopWhenFileExists", "leave_interrupts_to"]


@dataclass(frozen=True)
class StopWhenFileExists(StopCriterion):
    """Stop as soon as a file is there, which any process of the machine can make.

    Parameters
    ----------
    path : str

    Examples
    --------
    >>> StopWhenFileExists("no such file").start().is_over()
    False
    """

    path: str

    def is_met(self, clock: StopClock) -> bool:  # noqa: ARG002 (the time plays no part)
        """Return whether the file exists."""
        return os.path.exists(self.path)  # noqa: PTH110 (three times as quick as a Path, and asked often)


class SharedInterrupt(DeferredInterrupt):
    """A `DeferredInterrupt` that other processes see: the first Ctrl-C makes the file that `stop` looks for.

    Attributes
    ----------
    stop : StopWhenFileExists
        To be handed to the processes.

    Examples
    --------
    >>> with SharedInterrupt() as interrupt:
    ...     before = interrupt.stop.start().is_over()
    ...     signal.raise_signal(signal.SIGINT)
    ...     before, interrupt.stop.start().is_over()
    (False, True)
    """

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="gnnlib-", ignore_cleanup_errors=True)
        self.stop = StopWhenFileExists(str(Path(self._folder.name) / "interrupted"))

    def __enter__(self) -> Self:
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._folder.cleanup()

    def _note(self, number: int, frame: FrameType | None) -> None:
        super()._note(number, frame)
        Path(self.stop.path).touch()


def leave_interrupts_to(parent: int) -> None:
    """Ignore Ctrl-C from now on in a process other than `parent`, which the terminal tells as well.

    Parameters
    ----------
    parent : int
        Process id of the one that tells the others.
    """
    if os.getpid() != parent and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
