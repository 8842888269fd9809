"""What the callback costs in processor time, in real time, and what a yardstick does beside it: one
line of JSON.

    python -m tests.chaos.callback_cost SECONDS

Plays noise through the shape of NAM A1 standard in blocks of 64 at 48 kHz, each when it is due,
with real-time priority where that is allowed.  Shares are of a period and count the thread's own
time alone; what else runs on the machine shows in the caches, and a guest also pays for its host:
time that a host takes away counts as the guest's own.  Behind each callback, in the same thread and
for as long, the yardstick multiplies the same numbers again and again: what is long in it is the
machine's.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from ampd.bank import plan_model
from ampd.rack import Engine, build
from tests.bench import models

RATE_HZ, BLOCK = 48_000, 64
PERIOD_S = BLOCK / RATE_HZ
WARM_BLOCKS = 500
TUNED_BLOCKS, LOOK = 400, 50  # the yardstick is made as long as the callback in so many, so often
PRIORITY = 60
HALF = 0.5  # of a period
NUMBERS = 4096  # of the yardstick: they stay in the nearest cache, as most of a net does


class Yardstick:
    """Work that is the same each time."""

    def __init__(self) -> None:
        self.rounds = 1
        self._factor = np.ones(NUMBERS, np.float32)
        self._product = np.empty(NUMBERS, np.float32)

    def work(self) -> None:
        for _ in range(self.rounds):
            np.multiply(self._factor, self._factor, out=self._product)


def _timed(work: Callable[[], object]) -> float:
    """Seconds of this thread."""
    before_ns = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - before_ns) / 1e9


def shares(seconds: float) -> tuple[list[float], list[float]]:
    """Of every callback, in order, and of the yardstick behind each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a1-standard.nam"
        path.write_text(json.dumps(models.a1("a1-standard")))
        engine = Engine(RATE_HZ, threaded=False)
        build(engine, 0, plan_model(path))
    engine.select(0)
    noise = (0.1 * np.random.default_rng(1).standard_normal(RATE_HZ)).astype(np.float32)
    blocks = [noise[at : at + BLOCK] for at in range(0, RATE_HZ - BLOCK, BLOCK)]
    for block in range(WARM_BLOCKS):
        engine.process(blocks[block], BLOCK)
        engine.service()
    yardstick = Yardstick()
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    spent: list[float] = []
    beside: list[float] = []
    begin_s = time.perf_counter()
    for number in range(TUNED_BLOCKS + int(seconds / PERIOD_S)):
        if number < TUNED_BLOCKS and number % LOOK == LOOK - 1:
            yardstick.rounds = round(
                yardstick.rounds * np.median(spent[-LOOK:]) / np.median(beside[-LOOK:]) + 0.5
            )
        play = partial(engine.process, blocks[number % len(blocks)], BLOCK)
        spent.append(_timed(play) / PERIOD_S)
        beside.append(_timed(yardstick.work) / PERIOD_S)
        time.sleep(max(0.0, begin_s + (number + 1) * PERIOD_S - time.perf_counter()))
    return spent[TUNED_BLOCKS:], beside[TUNED_BLOCKS:]


def told(found: list[float]) -> dict[str, float]:
    row = {f"p{p:g}": float(np.percentile(found, p)) for p in (50, 99, 99.9)}
    over, late = (sum(share > most for share in found) for most in (HALF, 1))
    return {
        "callbacks": len(found),
        **row,
        "maximum": max(found),
        "over_half": over,
        "late": late,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seconds", type=float)
    spent, beside = shares(parser.parse_args().seconds)
    print(json.dumps({"engine": told(spent), "yardstick": told(beside)}))


if __name__ == "__main__":
    main()
