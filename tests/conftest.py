"""Fixtures for all tests."""

import signal

import pytest


@pytest.fixture(autouse=True)
def interruptible():
    """Let Ctrl-C arrive: a shell that starts the tests in the background has it ignored, and Python keeps that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
