"""A daemon that is killed at any time: what of the last accepted state the next one plays.

Each round a daemon without a JACK server switches rigs and turns a knob at random, and is killed up
to two seconds after the last answer.  A round counts where the next daemon plays what was accepted
last; what is younger than half a second may be lost, and is counted apart.  What the daemon said to
be saved is never lost.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.fault import Fault, Result
from tests.demo.osc import Osc, free_port
from tests.demo.stage import until

ROOT = Path(__file__).resolve().parents[2]
WRITTEN_S = 0.5
LONGEST_S = 2.0
START_LIMIT_S = 60.0
KNOB = "gain/gain_db"


def write_settings(folder: Path, port: int) -> Path:
    """An ampd.toml of two rigs of one knob."""
    (folder / "rigs").mkdir()
    for program, name in enumerate(("one", "two")):
        text = f"program: {program}\nchain:\n  - gain: {{gain_db: {program}}}\n"
        (folder / "rigs" / f"{name}.yaml").write_text(text)
    path = folder / "ampd.toml"
    path.write_text(
        '[paths]\nrigs = "rigs"\nmodels = "models"\ncache = "cache"\nstate = "state"\n'
        f'[osc]\nport = {port}\n[rig]\nstart = "one"\n[jack]\nserver_name = "nobody-runs-this"\n'
    )
    return path


@contextmanager
def daemon(settings: Path, port: int) -> Iterator[tuple["subprocess.Popen[bytes]", Osc, float]]:
    """A running daemon, a client, and the milliseconds until a rig was heard."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "ampd.cli", "run", "--config", str(settings)]
    with (settings.parent / "log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, cwd=ROOT, env=dict(os.environ))
    try:
        with Osc(port) as osc:
            while not state(osc, 0.01).get("rig"):
                if time.monotonic() - began_s > START_LIMIT_S or process.poll() is not None:
                    raise RuntimeError((settings.parent / "log").read_text()[-2000:])
            yield process, osc, 1000 * (time.monotonic() - began_s)
    finally:
        process.kill()
        process.wait()


def state(osc: Osc, limit_s: float = 20.0) -> dict[str, Any]:
    """The daemon's State; {} where it does not answer within the limit."""
    osc.send("/ampd/status")
    until_s = time.monotonic() + limit_s
    while (left_s := until_s - time.monotonic()) > 0:
        message = osc.receive(left_s)
        if message is not None and message.address == "/ampd/status":
            found: dict[str, Any] = json.loads(str(message.values[0]))
            return found
    return {}


def played(found: dict[str, Any]) -> tuple[str, float]:
    """The rig and the knob of a State."""
    return str(found["wanted_rig"]), float(found["values"][KNOB])


@dataclass(frozen=True)
class Kill:
    """age_s: since the last answer; was_saved: by the daemon's word; is_kept: the next plays it."""

    age_s: float
    was_saved: bool
    is_kept: bool


def rounds(folder: Path, kills: int) -> tuple[list[Kill], list[float]]:
    """The kills, and the milliseconds of each start. Each round looks first at what the one before
    has left; the first one of all is killed when its state is saved."""
    chance, port = random.Random(8), free_port()
    settings = write_settings(folder, port)
    starts_ms: list[float] = []
    found: list[Kill] = []
    accepted, age_s, was_saved = ("one", 0.0), LONGEST_S, False
    for number in range(kills + 1):
        with daemon(settings, port) as (process, osc, start_ms):
            starts_ms.append(start_ms)
            if number:
                found.append(Kill(age_s, was_saved, played(state(osc)) == accepted))
            for _ in range(chance.randint(1, 4)):
                rig, value = chance.choice(("one", "two")), float(chance.randint(-20, 20))
                osc.ask("/ampd/rig", rig)
                osc.ask(f"/ampd/{KNOB}", value)
                accepted = (rig, value)
                time.sleep(chance.uniform(0, 0.3))
            told_s = time.monotonic()
            accepted = played(state(osc))
            time.sleep(chance.choice((chance.uniform(0, WRITTEN_S), chance.uniform(0, LONGEST_S))))
            if not number:
                until(lambda: state(osc)["store"]["saved"], "what plays is saved")
            was_saved = bool(state(osc)["store"]["saved"])
            process.kill()
            age_s = time.monotonic() - told_s
    return found, starts_ms


def measure(full: bool) -> Result:
    """Kill a daemon again and again."""
    with tempfile.TemporaryDirectory() as folder:
        found, starts_ms = rounds(Path(folder), 200 if full else 3)
    old = [kill.is_kept for kill in found if kill.age_s >= WRITTEN_S]
    young = [kill.is_kept for kill in found if kill.age_s < WRITTEN_S]
    said = [kill.is_kept for kill in found if kill.was_saved]
    return Result(
        f"{sum(old)} of {len(old)} kept; younger than {WRITTEN_S:g} s: {sum(young)} of "
        f"{len(young)}; said to be saved: {sum(said)} of {len(said)}; start to state "
        f"{statistics.median(starts_ms):.0f} ms median, {max(starts_ms):.0f} longest",
        bool(said) and all(said),
        all(old),
    )


FAULTS = (
    Fault(
        "F2",
        "the daemon killed -9 at any time, no server",
        "the last state accepted half a second before, every time",
        measure,
    ),
)
