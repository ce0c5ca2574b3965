"""Allocator settings and kernel threads."""

from __future__ import annotations

import logging
import platform

import pytest
import torch

from gnnlib.encoder import cpu, parallel


def test_tuning_is_a_silent_no_op_without_glibc(monkeypatch, caplog):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with caplog.at_level(logging.DEBUG, logger="gnnlib"):
        assert cpu.tune_cpu() is False
    assert "no glibc" in caplog.text


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_tuning_sets_the_allocator_on_glibc():
    assert cpu.tune_cpu() is True
    assert torch.ones(10**6).sum() == 10**6


def test_parts_are_called_once_each_with_their_number():
    called = []
    parallel.run_parts(
        lambda part, first, last, shared: called.append((part, first, last, shared)), [(0, 2), (2, 5)], "x"
    )
    assert sorted(called) == [(0, 0, 2, "x"), (1, 2, 5, "x")]
    parallel.run_parts(lambda *arguments: called.append(arguments), [])
    assert len(called) == 2


def test_an_error_in_another_thread_is_raised_here():
    def kernel(part, first, last):
        if part == 1:
            raise RuntimeError("part one")

    with pytest.raises(RuntimeError, match="part one"):
        parallel.run_parts(kernel, [(0, 1), (1, 2)])


def test_threads_follow_torch_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert parallel.num_threads() == 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert parallel.num_threads() == 8
