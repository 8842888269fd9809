"""From a program change to the first sample of the new rig, in frames of JACK: two JSON lines.

    python -m tests.bench.foot_latency [--rounds 200]

A tone whose period is a whole number of frames plays through the daemon, and a foot changes among
five rigs that lie in the bank: clean twice, a NAM A1 standard net, an LSTM, and a whole pedalboard.
The message stands at a known frame, and the first sample that differs from the one a period of the
tone before it is the new rig's. The second line is the same while no line of Python runs in the
daemon.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.e2e.foot import (
    HEAVY,
    SPACING_FRAMES,
    changes_of_program,
    latencies,
    longest_zero_run,
    settle,
    tone,
)
from tests.e2e.gig import Gig, frozen
from tests.e2e.rack import RATE_HZ, Rack

LEAD_FRAMES = RATE_HZ // 2
LIMIT_MS = 5.0
LATE_S = 0.004  # a cycle that comes so late was held up by the machine


@dataclass(frozen=True)
class Feet:
    """What the foot did and when it was heard."""

    targets: list[int]  # programs
    frames: NDArray[np.int64]  # to the first changed sample, -1: none
    late: NDArray[np.bool_]  # a cycle of that time was held up
    zero_run: int


def walk(rack: Rack, rounds: int) -> Feet:
    """`rounds` program changes on the steady tone, from the first rig on."""
    script = changes_of_program(rounds, LEAD_FRAMES, len(HEAVY))
    passage = rack.begin(tone(1.0 + rounds * SPACING_FRAMES / RATE_HZ), script)
    out = passage.end()[:, 0]
    at = [frame for frame, _ in script]
    held = np.diff(passage.seconds) > LATE_S
    found = latencies(out, at)
    late = [held[f - 64 : f + max(n, 0)].any() for f, n in zip(at, found, strict=True)]
    return Feet([data[1] for _, data in script], found, np.array(late), longest_zero_run(out))


def row(feet: Feet, python: str) -> dict[str, object]:
    heard = feet.frames >= 0
    ms = feet.frames[heard] * 1000.0 / RATE_HZ
    p50, p90, p99 = np.percentile(ms, [50, 90, 99])
    targets = np.array(feet.targets)[heard]
    return {
        "bench": "foot_latency_ms",
        "python": python,
        "rounds": len(feet.frames),
        "unheard": int(np.count_nonzero(~heard)),
        "p50": round(float(p50), 3),
        "p90": round(float(p90), 3),
        "p99": round(float(p99), 3),
        "max": round(float(ms.max()), 3),
        "limit": LIMIT_MS,
        "over": int(np.count_nonzero(ms > LIMIT_MS)),
        "over_beside_a_late_cycle": int(np.count_nonzero((ms > LIMIT_MS) & feet.late[heard])),
        "p50_to": {
            name: round(float(np.median(ms[targets == number])), 3)
            for number, name in enumerate(HEAVY)
        },
        "longest_zero_run_frames": feet.zero_run,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=200)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        gig = Gig(lambda: Path(folder))
        try:
            rack = gig.rack()
            print(json.dumps(row(walk(rack, rounds), "free")), flush=True)
            settle(rack, HEAVY[0])
            with frozen(rack):
                print(json.dumps(row(walk(rack, rounds), "blocked")), flush=True)
        finally:
            gig.close()


if __name__ == "__main__":
    main()
