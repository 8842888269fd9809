"""What a whole rig costs, and each of its blocks: one JSON line a figure.

    python -m tests.bench.pedalboard

A gate, an amp in A1's standard size, an eq with all its bands, a stereo cabinet of 200 ms and a
reverb play a guitar at 48 kHz in blocks of 64 frames.  Thread CPU time, the least and the median of
short rounds; the rigs take turns, so that none has the machine's best moments alone.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ampd.bank import plan_rig
from ampd.library import Library
from ampd.rack import Engine, build
from ampd.rehearsal import settle
from ampd.rig import parse_rig
from tests.bench import ten_rigs
from tests.demo import guitar

RATE_HZ, BLOCK = 48_000, 64
ROUND_FRAMES = 75 * BLOCK
ROUNDS = 60
AT_MOST_PERCENT = 4.0
BLOCKS = (
    "gate: {threshold_db: -65}",
    "amp: {model: a1-standard}",
    "eq: {low_cut_hz: 70, low_db: 2, peak1_db: -2, peak2_db: 1, high_db: 2, high_cut_hz: 9000}",
    "cab: {impulse: stereo}",
    "reverb: {decay_s: 1.8, mix: 0.15}",
)


def rig(library: Library, blocks: tuple[str, ...]) -> Engine:
    """An engine that plays nothing but these."""
    text = "chain: [" + ", ".join(f"{{{block}}}" for block in blocks) + "]"
    engine = Engine(RATE_HZ, threaded=False)
    build(engine, 0, plan_rig(library, parse_rig(text.encode(), "rig")))
    settle(engine)
    return engine


def percent(engine: Engine, part: NDArray[np.float32]) -> float:
    """Of one core that the part takes."""
    before = time.thread_time()
    engine.process(part, BLOCK)
    return 100 * (time.thread_time() - before) * RATE_HZ / len(part)


def measure(engines: dict[str, Engine], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Percent of one core, round by round."""
    take = np.ascontiguousarray(guitar.make(), np.float32)
    found: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(rounds):
        at = turn * ROUND_FRAMES % (len(take) - ROUND_FRAMES)
        for name, engine in engines.items():
            found[name].append(percent(engine, take[at : at + ROUND_FRAMES]))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = ten_rigs.library(Path(folder))
        engines = {block.split(":")[0]: rig(library, (block,)) for block in BLOCKS}
        engines["nothing"] = rig(library, ())
        engines["whole rig"] = rig(library, BLOCKS)
    for name, found in measure(engines).items():
        row = {"figure": f"{name}: percent of one core", "least": round(min(found), 3)}
        row |= {"median": round(statistics.median(found), 3)}
        if name == "whole rig":
            row |= {"at_most": AT_MOST_PERCENT, "reached": min(found) <= AT_MOST_PERCENT}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
