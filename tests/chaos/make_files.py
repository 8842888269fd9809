"""Files and disks that fail: a save that is killed or loses its power, a disk that is full or lies,
and a start with files that are spoilt.
"""

import asyncio
import errno
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ampd.generations import Generations
from ampd.kept import Kept, encode
from ampd.library import Library
from ampd.resume import first_sound
from tests.ampd.conftest import host, noise, opened, write_model
from tests.ampd.test_generations import NEW, OLD, boots_with, calls, save, straced, two
from tests.chaos.fault import Fault, NotHereError, Result
from tests.chaos.make_kills import daemon, write_settings
from tests.demo.osc import Osc, free_port
from tests.demo.stage import ROOT, Stage, can_unshare, status, until_status
from tests.e2e.gig import HERE
from tests.e2e.rack import Passage, Rack, write_library
from tests.e2e.rack import noise as guitar

EXACT = 1e-6
TOLD_MS = 100.0
SOUND_S = 2.0
DISK_FAULTS = {
    "ENOSPC": errno.ENOSPC,
    "EROFS": errno.EROFS,
    "EIO": errno.EIO,
    "EDQUOT": errno.EDQUOT,
    "a lying write": -1,
}


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ampd-chaos-") as folder:
        yield Path(folder)


# --- F5: a save that is killed --------------------------------------------------------------------


def measure_kills(full: bool) -> Result:
    """SIGKILL at every system call of a save; the short form takes every fifth."""
    with scratch() as folder:
        try:
            names = calls(two(folder / "dry"), folder / "log")
        except pytest.skip.Exception as skipped:
            raise NotHereError(str(skipped)) from skipped
        places = [(name, names[: at + 1].count(name)) for at, name in enumerate(names)]
        places = places if full else places[2::5]
        good = 0
        for name, number in places:
            files = two(folder / f"{name}-{number}")
            inject = f"inject={name}:signal=KILL:when={number}"
            save(files.newest.parent, *straced(files, folder / "log", "-e", inject))
            was_good = boots_with(files) in (OLD, NEW)
            files.write(NEW)
            good += was_good and files.read(files.newest) == NEW
    return Result(f"{good} of {len(places)} calls leave the old or the new", good == len(places))


def cut_power(cuts: int, *more: str) -> dict[str, int]:
    argv = ["unshare", "--mount", sys.executable, "-m", "tests.chaos.power_cut"]
    with scratch() as folder:
        ended = subprocess.run(
            [*argv, str(folder), str(cuts), *more],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    if ended.returncode != 0:
        raise NotHereError(f"no ext4 on a loop device: {ended.stderr.strip().splitlines()[-1]}")
    told: dict[str, int] = json.loads(ended.stdout)
    return told


def measure_power(full: bool) -> Result:
    """Power cuts in the midst of saves; those without a sync prove that a cut is one."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        raise NotHereError("power cuts need root and mkfs.ext4")
    careless = cut_power(3, "--careless")
    if careless["lost"] == 0:
        raise NotHereError("a save without a sync loses nothing here: the cuts are none")
    told = cut_power(100 if full else 5)
    without = f"{careless['lost']} of {careless['saves']} in {careless['cuts']} cuts"
    return Result(
        f"{told['cuts']} cuts in {told['saves']} saves: {told['spoilt']} spoilt, {told['lost']} "
        f"lost (without a sync {without})",
        told["spoilt"] == told["lost"] == 0 and told["saves"] > 0,
    )


# --- F6: a disk that refuses or lies, under a daemon that plays -----------------------------------


class Disk:
    """Can be told to fail; the library that makes it so is loaded before the daemon."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise NotHereError("there is no C compiler")
        self._library = folder / "disk_faults.so"
        source = Path(__file__).with_name("disk_faults.c")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(source)], check=True
        )
        self._fault = folder / "fault"
        self.heal()

    def fail(self, number: int) -> None:
        new = self._fault.with_suffix(".new")
        new.write_text(f"{number}\n")
        new.replace(self._fault)

    def heal(self) -> None:
        self.fail(0)

    def command(self) -> list[str]:
        """What stands before `run`."""
        faults = [f"LD_PRELOAD={self._library}", f"AMPD_DISK_FAULT={self._fault}"]
        return ["env", *faults, f"PYTHONPATH={ROOT}", sys.executable, "-m", "ampd.cli"]


def until_told(osc: Osc, since_s: float) -> float:
    """Milliseconds until the State says why nothing is kept."""
    until_status(osc, lambda s: s["store"]["error"], "the disk's fault is told")
    return 1000 * (time.monotonic() - since_s)


def one_disk_fault(rack: Rack, disk: Disk, number: int, turn: int) -> tuple[float, bool, float]:
    """While the guitar plays: milliseconds from a turn until the fault is told, whether the old
    state stayed and the next one is kept, and how far the sound is off."""
    newest = Path(status(rack.osc)["store"]["path"])
    newest = newest if newest.is_absolute() else rack.stage.directory / newest
    sound = guitar(2.0, seed=turn, silence_frames=4800)
    passage = Passage(rack, sound)
    until_status(rack.osc, lambda s: s["store"]["saved"], "what plays is kept")
    disk.fail(number)
    # A save that had begun before the fault is over.
    until_status(
        rack.osc, lambda s: s["store"]["saved"] or s["store"]["error"], "nothing is written"
    )
    before = newest.read_bytes()
    told_ms = until_told(rack.osc, rack.osc.send("/ampd/tuner_reference_hz", 431.0 + turn))
    kept = newest.read_bytes() == before
    disk.heal()
    rack.osc.ask("/ampd/tuner_reference_hz", 441.0 + turn)
    until_status(rack.osc, lambda s: s["store"]["saved"] and not s["store"]["error"], "kept again")
    take = passage.end()[:, 0]
    off = float(np.abs(take[: len(sound)] - sound[: len(take)]).max())
    return told_ms, kept and newest.read_bytes() != before, off


def measure_disk(full: bool) -> Result:
    """Every fault of the disk, under a daemon that plays through a server; the short form one."""
    if not shutil.which("jackd") or not can_unshare():
        raise NotHereError("jackd, or the right to a mount namespace, is absent")
    chosen = dict(list(DISK_FAULTS.items())[:: 1 if full else 5])
    with scratch() as folder, Stage(folder, private=True, server_name="files") as stage:
        disk = Disk(folder)
        write_library(folder)
        stage.start_server()
        started = stage.start_daemon("--rig", "loud", settings=HERE, program=disk.command())
        with started.osc() as osc:
            rack = Rack(stage, started, osc)
            rack.until_jack("running")
            rack.until_rig("loud")
            told = {
                name: one_disk_fault(rack, disk, number, turn)
                for turn, (name, number) in enumerate(chosen.items())
            }
    worst_ms = max(each[0] for each in told.values())
    kept = sum(each[1] for each in told.values())
    off = max(each[2] for each in told.values())
    return Result(
        f"told within {worst_ms:.0f} ms of the turn; old state kept {kept} of {len(told)}; "
        f"sound off by {off:g}",
        kept == len(told) and off <= EXACT,
        worst_ms <= TOLD_MS,
    )


# --- F7: a start with spoilt files ----------------------------------------------------------------

RIG = "chain:\n  - amp: {model: tiny, gain_db: 6}\n"
KEPT = Kept("lead", {"amp/gain_db": -4.0}, globals={"master_db": -6.0})


def spoilt(data: bytes, every: int) -> Iterator[bytes]:
    """Cut off at every byte, and with a bit of every byte turned over."""
    for at in range(0, len(data), every):
        yield data[:at]
        yield data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def small_library(folder: Path) -> Library:
    (folder / "rigs").mkdir(parents=True)
    (folder / "rigs" / "lead.yaml").write_text(RIG)
    (folder / "rigs" / "other.yaml").write_text("chain:\n  - gain: {gain_db: 3}\n")
    path = write_model(folder / "models" / "tiny" / "tiny.json", channels=1)
    # Its self-test is most of the file; a net that plays another sound is a sound.
    document = json.loads(path.read_text())
    del document["self_test"]
    path.write_text(json.dumps(document, separators=(",", ":")))
    return Library(folder / "rigs", folder / "models")


async def boot(library: Library, files: Generations) -> tuple[float, bool]:
    """One start in this process: seconds until something plays, and whether it is heard."""
    began_s = time.monotonic()
    async with opened(library) as (session, _):
        await first_sound(session, files, "other")
        out = await host(session, signal=noise(4096))
        took_s = time.monotonic() - began_s
    return took_s, bool(np.isfinite(out).all() and np.abs(out[:, 3072:]).max() > 0)


def boot_with_each(folder: Path, every: int) -> list[tuple[float, bool]]:
    """Starts with the state, the rig and the model spoilt, one at a time."""
    library = small_library(folder)
    files = Generations(folder / "state", "ampd")
    files.write(KEPT)
    places = (files.newest, library.rigs_path / "lead.yaml")
    model = library.models_path / "tiny" / "tiny.json"
    found = []
    for path, step in ((places[0], every), (places[1], every), (model, 3 * every)):
        whole = path.read_bytes()
        for data in spoilt(whole, step):
            path.write_bytes(data)
            found.append(asyncio.run(boot(library, files)))
        path.write_bytes(whole)
    return found


def boot_daemon(folder: Path, state: bytes) -> float:
    """A real daemon with this state and no generation before it: milliseconds to a State with a
    rig."""
    port = free_port()
    folder.mkdir()
    settings = write_settings(folder, port)
    (folder / "state").mkdir()
    (folder / "state" / "ampd.state").write_bytes(state)
    with daemon(settings, port) as (_, _, start_ms):
        return start_ms


@contextmanager
def silent_log() -> Iterator[None]:
    """Hundreds of starts that complain, as they must."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def measure_spoilt(full: bool) -> Result:
    """Starts in this process with every spoilt file, and a few real daemons beside one whose state
    is good."""
    good = encode(Kept("two", {"gain/gain_db": 2.0}))
    with scratch() as folder:
        with silent_log():
            found = boot_with_each(folder / "here", 1 if full else 97)
        good_ms = boot_daemon(folder / "good", good)
        starts_ms = [
            boot_daemon(folder / f"daemon-{end}", good[:end])
            for end in range(0, len(good), 12 if full else len(good))
        ]
    heard = sum(is_heard for _, is_heard in found)
    longest_s = max(took_s for took_s, _ in found)
    in_time = max(longest_s, max(starts_ms) / 1000) <= SOUND_S
    return Result(
        f"{heard} of {len(found)} sound, the longest in {longest_s:.2f} s; {len(starts_ms)} real "
        f"daemons, {statistics.median(starts_ms):.0f} ms median, {max(starts_ms):.0f} longest "
        f"(with a good state {good_ms:.0f})",
        heard == len(found),
        in_time,
    )


FAULTS = (
    Fault(
        "F5a",
        "the daemon killed -9 at every system call of a save",
        "the old state or the new one, every time",
        measure_kills,
    ),
    Fault(
        "F5b",
        "the power cut 100 times in the midst of saves (ext4)",
        "0 spoilt, 0 accepted saves lost",
        measure_power,
    ),
    Fault(
        "F6",
        "ENOSPC, EROFS, EIO, EDQUOT and a write that lies, while it plays",
        f"sound on, told within {TOLD_MS:g} ms, old state kept",
        measure_disk,
    ),
    Fault(
        "F7",
        "started with state, rig and model cut off at every byte and bits turned over",
        f"sound every time, within {SOUND_S:g} s",
        measure_spoilt,
    ),
)
