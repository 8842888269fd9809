"""What a storm of switches leaves behind: one JSON line a figure.

    python -m tests.bench.storms [--switches 100000] [--live-seconds 60]

First offline, without threads: so many switches among six rigs of the project's own models, delay
and reverb among them, one every 1 to 7 blocks of 64 frames by lot, so that many come while another
fades or waits.  The last one must be heard, every rig must still be there, and memory, descriptors
and threads must be as they were after the first thousand.  Then the same with the engine's own
thread, 50 switches a second in real time.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ampd.rack import Engine, build
from tests.bench import ten_rigs
from tests.demo import guitar

RATE_HZ, BLOCK = 48_000, 64
RIGS = ("clean", "drive", "champ", "board", "lead", "family")
FIRST = 1000  # by then all that is kept has been allocated
MOST_BLOCKS = 7
LIVE_BLOCKS = 15  # 20 ms
MOST_RSS_MB = 1.0
PATIENCE_BLOCKS = 3000


@dataclass(frozen=True)
class Held:
    """What the process holds."""

    rss_mb: float
    descriptors: int
    threads: int


def held() -> Held:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        sum(1 for _ in Path("/proc/self/fd").iterdir()),
        sum(1 for _ in Path("/proc/self/task").iterdir()),
    )


class Storm:
    """An engine with the rigs, and a guitar that plays without end. folder: an empty one."""

    def __init__(self, folder: Path, threaded: bool) -> None:
        self.threaded = threaded
        self.engine = Engine(RATE_HZ, threaded)
        plans = ten_rigs.make(folder)
        for slot, name in enumerate(RIGS):
            build(self.engine, slot, plans[name])
        self._part = np.ascontiguousarray(guitar.make(), np.float32)
        self._at = 0
        self._random = np.random.default_rng(1)
        self._slot = 0
        self._heard_slot = -1
        self._refused = 0

    def play(self, blocks: int) -> NDArray[np.float32]:
        sound = np.empty((2, 0), np.float32)
        for _ in range(blocks):
            if self._at + BLOCK > len(self._part):
                self._at = 0
            sound = self.engine.process(self._part[self._at : self._at + BLOCK], BLOCK)
            self._at += BLOCK
            if not self.threaded:
                self.engine.service()
        return sound

    def switch(self) -> int:
        """Select another rig by lot."""
        self._slot = int((self._slot + self._random.integers(1, len(RIGS))) % len(RIGS))
        assert self.engine.select(self._slot) > 0
        return self._slot

    def blow(self, switches: int) -> None:
        """So many switches, offline."""
        for _ in range(switches):
            self.switch()
            assert np.isfinite(self.play(int(self._random.integers(1, MOST_BLOCKS + 1)))).all()
            self.listen()

    def blow_live(self, seconds: float) -> int:
        """50 switches a second, each block when it is due; returns how many there were."""
        count, begin = 0, time.perf_counter()
        for block in range(int(seconds * RATE_HZ / BLOCK)):
            if block % LIVE_BLOCKS == 0:
                self.switch()
                count += 1
                self.listen()
            self.play(1)
            time.sleep(max(0.0, begin + (block + 1) * BLOCK / RATE_HZ - time.perf_counter()))
        return count

    def last_wins(self) -> bool:
        """Whether what was selected last is what is heard in the end."""
        return self._heard(self._slot)

    def all_there(self) -> int:
        """How many of the rigs can still be selected and are heard then."""
        found = 0
        for slot in range(len(RIGS)):
            self._slot = slot
            self._heard_slot = -1
            assert self.engine.select(slot) > 0
            found += self._heard(slot)
        return found

    def listen(self) -> None:
        """Note what was told since."""
        for fact in self.engine.facts():
            if fact.kind == "switched":
                self._heard_slot = fact.slot
            self._refused += fact.kind in ("refused", "fault")

    def _heard(self, slot: int) -> bool:
        for _ in range(PATIENCE_BLOCKS):
            self.play(1)
            self.listen()
            if self._heard_slot == slot:
                return self._refused == 0
            if self.threaded:
                time.sleep(0.001)
        return False


def tell(figure: str, value: float, asked: float, reached: bool, **more: object) -> None:
    row = {"figure": figure, "value": round(value, 3), "asked": asked, "reached": reached}
    print(json.dumps({**row, **more}), flush=True)


def tell_held(figure: str, before: Held, after: Held) -> None:
    grown = after.rss_mb - before.rss_mb
    tell(f"{figure}: memory grown, MB", grown, MOST_RSS_MB, grown <= MOST_RSS_MB)
    opened = after.descriptors - before.descriptors
    tell(f"{figure}: descriptors more", opened, 0, opened == 0)
    started = after.threads - before.threads
    tell(f"{figure}: threads more", started, 0, started == 0)


def tell_offline(switches: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(Path(folder), threaded=False)
    storm.blow(FIRST)
    before = held()
    storm.blow(switches - FIRST)
    after = held()
    figure = f"{switches} switches offline"
    heard = storm.last_wins()
    tell(f"{figure}: the last one is heard", heard, 1, heard)
    tell_held(figure, before, after)
    there = storm.all_there()
    tell(f"{figure}: rigs still there", there, len(RIGS), there == len(RIGS))


def tell_live(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(Path(folder), threaded=True)
    first = storm.blow_live(FIRST * LIVE_BLOCKS * BLOCK / RATE_HZ)
    before = held()
    count = first + storm.blow_live(max(0.0, seconds - FIRST * LIVE_BLOCKS * BLOCK / RATE_HZ))
    after = held()
    figure = f"{count} switches, 50 a second"
    heard = storm.last_wins()
    tell(f"{figure}: the last one is heard", heard, 1, heard)
    tell_held(figure, before, after)
    there = storm.all_there()
    tell(f"{figure}: rigs still there", there, len(RIGS), there == len(RIGS))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--switches", type=int, default=100_000)
    parser.add_argument("--live-seconds", type=float, default=60.0)
    options = parser.parse_args()
    tell_offline(int(options.switches))
    tell_live(float(options.live_seconds))


if __name__ == "__main__":
    main()
