from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, time
started = time.process_time()
import gnnlib
print(time.process_time() - started)
print(*(name for name in ("torch", "torch_geometric", "matplotlib", "numba", "numpy") if name in sys.modules))
"""


def measure() -> tuple[float, str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.splitlines()
    return float(seconds), heavy


def test_import_is_quick_and_loads_no_heavy_package() -> None:
    runs = [measure() for _ in range(5)]
    assert {heavy for _, heavy in runs} == {""}
    # the house promises a tenth of a second; processor time, so that a busy machine does not count
    assert min(seconds for seconds, _ in runs) <= 0.1
