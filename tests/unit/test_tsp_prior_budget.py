"""A prior that takes longer than the stop allows is left out, and the result says so."""

from __future__ import annotations

import numpy as np
import torch

import gnnlib
from gnnlib.encoder import one_thread
from gnnlib.heads.combinatorial.tsp import decode


def test_a_network_that_would_overrun_the_stop_is_left_out(monkeypatch):
    monkeypatch.setattr(decode, "scoring_seconds", lambda prior, num_edges: 1e6)
    points = np.random.default_rng(0).random((200, 2))
    result = gnnlib.solve_tsp(points, stop=gnnlib.MaxRuntime(0.3), prior="gnn", seed=0)
    assert result.params["prior"] == "gnn"
    assert result.params["prior_used"] is None


def test_a_network_that_fits_the_stop_is_used():
    points = np.random.default_rng(0).random((200, 2))
    result = gnnlib.solve_tsp(points, stop=gnnlib.MaxIterations(50), prior="gnn", seed=0)
    assert result.params["prior_used"] == "gnn"


def test_one_thread_gives_back_the_number_it_found_even_after_an_error():
    before = torch.get_num_threads()
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
    except KeyError:
        pass
    assert torch.get_num_threads() == before
