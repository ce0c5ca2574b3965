"""Opt-in settings that make tensor work on the CPU cheaper."""

from __future__ import annotations

import ctypes
import logging
import platform

__all__ = ["tune_cpu"]

_logger = logging.getLogger(__name__)

# Parameter numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4


def tune_cpu() -> bool:
    """Keep freed memory inside the process, so that large temporaries are not paged in anew each time.

    By default glibc serves every block above 32 MB by its own memory mapping and hands it back when freed; a network on
    a large graph then spends a third to two thirds of its CPU time in page faults. This sets ``mallopt(3)``: no
    mappings, no trimming. The price is a resident size that stays at its peak, for the whole process; so it is done
    only when asked for.

    Returns
    -------
    bool
        True when the setting was made, False where there is no glibc (nothing is changed then).

    Examples
    --------
    >>> isinstance(tune_cpu(), bool)
    True
    """
    if platform.libc_ver()[0] != "glibc":
        _logger.debug("tune_cpu: no glibc here, nothing changed")
        return False
    mallopt = ctypes.CDLL(None).mallopt
    mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
    mallopt.restype = ctypes.c_int
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))
    done = all(mallopt(parameter, value) == 1 for parameter, value in settings)
    _logger.debug("tune_cpu: %s", "set" if done else "mallopt refused")
    return done
