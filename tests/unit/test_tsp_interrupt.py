"""Ctrl-C ends a run in several processes with the best tour so far."""

import os
import signal
import subprocess
import sys

import pytest

from gnnlib.heads.combinatorial.tsp.shared_stop import SharedInterrupt, leave_interrupts_to

PROGRAM = """
import sys, time
import numpy as np
import gnnlib

points = np.random.default_rng(0).random((400, 2))
gnnlib.solve_tsp(points, stop=gnnlib.MaxIterations(5), n_jobs=2)  # compiles, and starts the processes
print("searching", flush=True)
begin = time.monotonic()
result = gnnlib.solve_tsp(points, stop=gnnlib.MaxRuntime(300), seed=0, n_jobs=2)
print(sorted(result.order.tolist()) == list(range(400)), result.length < 16.0, flush=True)
print(result.seconds < 250, time.monotonic() - begin < 250, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize("whole_group", [False, True])
def test_an_interrupt_of_several_processes_returns_the_best_tour(whole_group):
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert child.stdout.readline() == "searching\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=2.0)  # the search is under way
        # a terminal tells the whole group, `kill` one process
        (os.killpg if whole_group else os.kill)(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=120)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    assert (out, child.returncode) == ("True True\nTrue True\n", 0), err
    assert "Traceback" not in err


def test_the_second_interrupt_is_raised():
    with SharedInterrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.received
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_process_that_tells_the_others_keeps_its_handler():
    before = signal.getsignal(signal.SIGINT)
    leave_interrupts_to(os.getpid())
    assert signal.getsignal(signal.SIGINT) is before
