"""What the callback costs in processor time, in real time: one line of JSON.

    python -m tests.chaos.callback_cost SECONDS

Plays noise through the shape of NAM A1 standard in blocks of 64 at 48 kHz, each when it is due,
with real-time priority where that is allowed.  Shares are of a period and count the thread's own
time alone; what else runs on the machine shows in the caches, and a guest also pays for its host.
"""

import argparse
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from ampd.bank import plan_model
from ampd.rack import Engine, build
from tests.bench import models

RATE_HZ, BLOCK = 48_000, 64
PERIOD_S = BLOCK / RATE_HZ
WARM_BLOCKS = 500
PRIORITY = 60


def shares(seconds: float) -> list[float]:
    """Of every callback, in order."""
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
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    spent: list[float] = []
    begin_s = time.perf_counter()
    for number in range(int(seconds / PERIOD_S)):
        before_ns = time.thread_time_ns()
        engine.process(blocks[number % len(blocks)], BLOCK)
        spent.append((time.thread_time_ns() - before_ns) / 1e9 / PERIOD_S)
        time.sleep(max(0.0, begin_s + (number + 1) * PERIOD_S - time.perf_counter()))
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seconds", type=float)
    spent = np.asarray(shares(parser.parse_args().seconds))
    row = {f"p{p:g}": float(np.percentile(spent, p)) for p in (50, 99, 99.9)}
    print(json.dumps({"callbacks": len(spent), **row, "maximum": float(spent.max())}))


if __name__ == "__main__":
    main()
