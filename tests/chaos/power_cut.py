"""Power cuts while states are saved, on an ext4 of its own.

    python -m tests.chaos.power_cut FOLDER CUTS [--careless]

Needs root and a mount namespace of its own.  A cut is EXT4_IOC_SHUTDOWN without a flush of the log:
what no sync has brought to the disk is gone.  --careless saves without any sync, which must lose
something.  Prints {"cuts", "saves", "spoilt", "lost"} as one line of JSON.
"""

import argparse
import fcntl
import json
import os
import random
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ampd.errors import StateError
from ampd.generations import Generations
from ampd.kept import Kept, encode

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2
DISK_BYTES = 16 * 1024 * 1024
KNOB = "gain/gain_db"
LONGEST_S = 0.25  # of saving before a cut


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


class Saver:
    """Saves one state after the other, each with the next number, until the disk is gone."""

    def __init__(self, files: Generations, number: int, careless: bool) -> None:
        self.accepted: int | None = None  # the last save that returned
        self.saves = 0
        self.began = number  # the last that was tried
        self._files = files
        self._careless = careless
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                self.began += 1
                self._save(Kept("rig", {KNOB: float(self.began)}))
                self.accepted = self.began
                self.saves += 1

    def _save(self, kept: Kept) -> None:
        if not self._careless:
            self._files.write(kept)
            return
        new = self._files.newest.with_suffix(".new")
        new.write_bytes(encode(kept))
        new.replace(self._files.newest)


def cut(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(number, SHUTDOWN, struct.pack("i", NO_LOG_FLUSH))
    finally:
        os.close(number)


def found(files: Generations) -> tuple[int, bool]:
    """The number that the next start finds, 0 without any; whether a file is spoilt."""
    spoilt = False
    for path in (files.newest, files.previous):
        try:
            kept = files.read(path)
        except StateError:
            spoilt = True
            continue
        if kept is not None:
            return int(kept.values[KNOB]), spoilt
    return 0, spoilt


def cuts(folder: Path, count: int, careless: bool) -> dict[str, int]:
    chance = random.Random(8)
    image, place = folder / "disk", folder / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    files = Generations(place / "state", "ampd")
    number = known = saves = spoilt = lost = 0
    for _ in range(count):
        with mounted(image, place):
            files.newest.parent.mkdir(exist_ok=True)
            saver = Saver(files, number, careless)
            time.sleep(chance.uniform(0.01, LONGEST_S))
            cut(place)
            saver.join()
        with mounted(image, place):
            there, is_spoilt = found(files)
        spoilt += is_spoilt
        if saver.accepted is not None:
            known = saver.accepted
        lost += min(max(0, known - there), max(saver.saves, 1))
        saves += saver.saves
        known, number = there, saver.began
    return {"cuts": count, "saves": saves, "spoilt": spoilt, "lost": lost}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("cuts", type=int)
    parser.add_argument("--careless", action="store_true")
    options = parser.parse_args()
    print(json.dumps(cuts(options.folder, options.cuts, options.careless)))


if __name__ == "__main__":
    main()
