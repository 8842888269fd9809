"""How soon a started daemon is heard: one JSON line.

    python -m tests.bench.start [--starts 10] [--each] [--first]

A JACK server runs on a stage of its own and ten rigs lie in the set.  Each start plays on with
another of the ten, as the one before has left it; tests/demo/ear.py gives it a tone and listens.
Counted is from the fork of the process to the first sample, and only where that is the rig's own
sound: a few periods of the tone later it sounds as it does 0.6 s later.  One start before is not
counted: it fills the page cache and measures what is kept.  --first lets the daemon go
before all that is not real-time (chrt -f 1), as on a box that does nothing else.
"""

import argparse
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.bench import ten_rigs
from tests.demo.osc import free_port
from tests.demo.stage import ROOT, Daemon, Stage, StageError, status, until

ASKED_MS, ASKED_PSS_MB = 300, 60
SAME = 0.05
READY_LIMIT_S = 20.0
FILL_LIMIT_S = 120.0  # the first one examines every model
EAR = (sys.executable, "-m", "tests.demo.ear")
DAEMON = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "ampd")
SETTINGS = {
    "input": '"ear:tone"',
    "outputs": '["ear:left"]',
    "rigs": '"rigs"',
    "models": '"models"',
    "state": '"state"',
}


@dataclass(frozen=True)
class Started:
    """One start; times in ms since the fork of the process."""

    rig: str
    client_ms: float  # its ports are there
    linked_ms: float  # the last of its links is made
    sound_ms: float
    ready_ms: float  # systemd was told
    unlike: float
    pss_mb: float  # all rigs are built
    shared_mb: float  # of it, of the server's own memory, which its clients share

    @property
    def own(self) -> bool:
        """Whether the first that was heard was the rig."""
        return self.unlike <= SAME


def write_set(folder: Path, rigs: Mapping[str, str]) -> list[str]:
    """The library and the rigs of the set in their programs' order; returns their names."""
    (folder / "models").mkdir()
    ten_rigs.library(folder / "models")
    (folder / "rigs").mkdir()
    names = [name.split()[0] for name in rigs]
    for program, (name, text) in enumerate(zip(names, rigs.values(), strict=True)):
        (folder / "rigs" / f"{name}.yaml").write_text(f"program: {program}\n{text.strip()}\n")
    return names


def start(stage: Stage, port: int, rig: str, then: str, program: Sequence[str] = DAEMON) -> Started:
    """Start a daemon, which must play on with `rig` ("": whatever), and leave it with `then`."""
    ear = stage.start("ear", EAR)
    ear.wait_for("back")
    path = stage.directory / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as herald:
        herald.bind(str(path))
        herald.settimeout(READY_LIMIT_S)
        os.environ["NOTIFY_SOCKET"] = str(path)
        began_s = time.monotonic()
        daemon = stage.start_daemon(settings=SETTINGS, port=port, program=program)
        del os.environ["NOTIFY_SOCKET"]
        try:
            while b"READY=1" not in herald.recv(4096):
                pass
            ready_s = time.monotonic()
            heard = ear.wait_for("heard")
            seconds = [ear.wait_for(event)["second"] for event in ("client", "linked")]
            used_mb, shared_mb = _leave(daemon, rig, then)
        finally:
            daemon.running.stop()
    ear.stop()
    client_ms, linked_ms, sound_ms, ready_ms = (
        1000 * (second - began_s) for second in (*seconds, heard["second"], ready_s)
    )
    return Started(
        rig, client_ms, linked_ms, sound_ms, ready_ms, heard["unlike"], used_mb, shared_mb
    )


def _leave(daemon: Daemon, rig: str, then: str) -> tuple[float, float]:
    """Have the daemon play `then` and keep it; its memory in MB before that, and JACK's of it."""
    with daemon.osc() as osc:
        found = until(lambda: _filled(status(osc)), "all rigs are built", FILL_LIMIT_S)
        if rig and found["rig"] != rig:
            raise StageError(f"rig {rig} was left, {found['rig']} plays")
        used = pss_mb(daemon.running.process.pid)
        osc.ask("/ampd/rig", then)
        until(lambda: status(osc)["store"]["saved"], "the rig is kept")
    return used


def _filled(state: dict[str, Any]) -> dict[str, Any]:
    return state if all(each["built"] for each in state["rigs"]) else {}


def pss_mb(pid: int) -> tuple[float, float]:
    """The process's share of the memory, shared pages divided among those that use them, and what
    of it is JACK's."""
    whole = jacks = 0
    name = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        key, *rest = line.split()
        if not key.endswith(":"):
            name = rest[-1]
        elif key == "Pss:":
            whole += int(rest[0])
            jacks += int(rest[0]) if name.startswith("/dev/shm/jack") else 0
    return whole / 1024, jacks / 1024


def measure(starts: int, folder: Path, first: bool = False) -> list[Started]:
    """So many starts, each with the next of the ten rigs."""
    with Stage(folder, private=True, server_name="start") as stage:
        names = write_set(folder, ten_rigs.without_tails())
        stage.start_server()
        order = [names[n % len(names)] for n in range(starts + 1)]
        port = free_port()  # one for all: with the settings, what was noted for the next start goes
        program = ("chrt", "-f", "1", *DAEMON) if first else DAEMON
        start(stage, port, "", order[0], program)
        return [start(stage, port, *pair, program) for pair in pairwise(order)]


def row(found: Sequence[Started]) -> dict[str, object]:
    """The figure, and what it is made of."""

    def median(field: str) -> float:
        return round(float(statistics.median(getattr(each, field) for each in found)), 1)

    sound_ms, used_mb = median("sound_ms"), max(each.pss_mb for each in found)
    own = all(each.own for each in found)
    return {
        "figure": "start to the last rig's own sound, ms",
        "median": sound_ms,
        "max": round(max(each.sound_ms for each in found), 1),
        "asked": ASKED_MS,
        "starts": len(found),
        "own": own,
        "client": median("client_ms"),
        "linked": median("linked_ms"),
        "ready": median("ready_ms"),
        "pss_mb": round(used_mb, 1),
        "pss_of_jack_mb": round(max(each.shared_mb for each in found), 1),
        "asked_pss_mb": ASKED_PSS_MB,
        "reached": own and sound_ms <= ASKED_MS and used_mb <= ASKED_PSS_MB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--each", action="store_true", help="every start, a line each, as well")
    parser.add_argument("--first", action="store_true", help="before all that is not real-time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.starts, Path(folder), options.first)
    for each in found if options.each else ():
        print(json.dumps(asdict(each)))
    figure = row(found)
    print(json.dumps(figure))
    return 0 if figure["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
