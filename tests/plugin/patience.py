"""Waiting for what a busy machine does late."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

START_S = 30.0
TRIES = 5
TRY_S = 10.0


def until(true: Callable[[], Any], what: str, limit_s: float = START_S) -> Any:
    """Poll until `true` gives something true, and return that."""
    deadline = time.monotonic() + limit_s
    while not (result := true()):
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)
    return result


def again(act: Callable[[], object], seen: Callable[[], Any], what: str) -> Any:
    """Do something, and return its effect; do it again where there is none."""
    for _ in range(TRIES):
        act()
        with contextlib.suppress(AssertionError):
            return until(seen, what, TRY_S)
    raise AssertionError(f"not in {TRIES} tries of {TRY_S:g} s: {what}")
