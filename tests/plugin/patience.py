"""Waiting for what a busy machine does late."""

import contextlib
from collections.abc import Callable
from typing import Any

from tests.demo.stage import StageError, until

TRIES = 5
TRY_S = 10.0


def again(act: Callable[[], object], seen: Callable[[], Any], what: str) -> Any:
    """Do something, and return its effect; do it again where there is none."""
    for _ in range(TRIES):
        act()
        with contextlib.suppress(StageError):
            return until(seen, what, TRY_S)
    raise AssertionError(f"not in {TRIES} tries of {TRY_S:g} s: {what}")
