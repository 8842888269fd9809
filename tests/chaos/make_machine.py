"""What the machine under the daemon may do: jump with its clock, run out of memory or descriptors.

Each fault is made to a daemon that plays a tone on a stage of its own; the ear (tests/demo/ear.py)
hears every gap.  The limits are laid on the running process, as a leak would.
"""

import json
import mmap
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.bench import models
from tests.bench.start import write_set
from tests.chaos.fault import Fault, NotHereError, Result
from tests.demo.osc import Osc
from tests.demo.stage import (
    ROOT,
    Daemon,
    Running,
    Stage,
    StageError,
    can_unshare,
    status,
    until,
)

EAR = (sys.executable, "-m", "tests.demo.ear")
DAEMON = (sys.executable, "-m", "ampd")
SETTINGS = {
    "rigs": '"rigs"',
    "models": '"models"',
    "input": '"ear:tone"',
    "outputs": '["ear:left"]',
}
# The whole library stays on disk and three rigs in the set: the others cost memory when asked for.
RIGS = {
    "drive": "chain: [amp: {model: ts9, level_db: 2}]",
    "champ": "chain: [amp: {model: champ, level_db: -4}]",
}
LARGE = "chain: [amp: {model: large}]"
LARGE_MB = 28  # of a model's file, nearly all of it a note
KNOB = "amp/gain_db"
SILENT_MS = 5.0  # a tone of 240 Hz is near zero for less than a millisecond
ANSWER_S, RECOVER_S, WRITTEN_S = 0.5, 1.0, 0.5
DAY_S, YEAR_S = 86_400, 365 * 86_400
JUMPS_S = (DAY_S, -DAY_S, 10 * YEAR_S, -10 * YEAR_S, 0)
LIMITS = (16, 24, 32, 48, 64)  # descriptors
HALF_OPEN = 1000
EXAMINED_S = 20.0  # more than an examination may take
STEPS_MB = (1, 4, 16, 64, 128, 256, 512, 1024)

SHIFTED_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static volatile int64_t* shift(void) {
  static volatile int64_t* seconds;
  static int64_t none;
  if (!seconds) {
    const char* path = getenv("SHIFT");
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void* at = fd < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
    seconds = at == MAP_FAILED ? &none : (int64_t*)at;
  }
  return seconds;
}
int clock_gettime(clockid_t id, struct timespec* out) {
  static int (*real)(clockid_t, struct timespec*);
  if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const int result = real(id, out);
  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI)
    out->tv_sec += *shift();
  return result;
}
int gettimeofday(struct timeval* restrict out, void* restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
"""


class Playing:
    """A daemon that plays `drive`, and the ear that listens."""

    def __init__(self, stage: Stage, daemon: Daemon, ear: Running) -> None:
        self.stage, self.daemon, self._ear = stage, daemon, ear
        self.osc: Osc = daemon.osc()
        ear.wait_for("heard")
        until(lambda: all(r["built"] for r in status(self.osc)["rigs"]), "all rigs are built")
        self.slowest_s = 0.0

    @property
    def pid(self) -> int:
        return self.daemon.running.process.pid

    def ask(self, address: str, *values: str | float) -> tuple[object, ...]:
        """What is answered, or said to the error; the slowest answer is noted."""
        began_s = time.monotonic()
        answer = self.osc.ask(address, *values)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
        return answer.values

    def choose(self, rig: str) -> tuple[object, ...]:
        """A rig whose model is examined first: the answer, which may take that long."""
        return self.osc.ask("/ampd/rig", rig, limit_s=EXAMINED_S).values

    def turn(self, value: float) -> None:
        """A knob, which must take effect."""
        answer = self.ask(f"/ampd/{KNOB}", value)
        if answer != (value,):
            raise StageError(f"{KNOB} {value} did not take effect: {answer}")

    def silent_ms(self) -> float:
        """End the ear; the longest silence that it heard."""
        self._ear.stop()
        return float(self._ear.wait_for("over")["silent_ms"])


@contextmanager
def playing(prepare: Callable[[Path], Sequence[str]] = lambda _: ()) -> Iterator[Playing]:
    """prepare: gets the stage's folder; returns variables of the daemon's environment, A=b."""
    if not can_unshare():
        raise NotHereError("no right to unshare a mount namespace")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Stage(folder, private=True, server_name="machine") as stage:
            write_set(folder, RIGS)
            variables = [f"PYTHONPATH={ROOT}", *prepare(folder)]
            stage.start_server()
            ear = stage.start("ear", EAR)
            ear.wait_for("back")
            program = ("env", *variables, *DAEMON)
            daemon = stage.start_daemon("--rig", "drive", settings=SETTINGS, program=program)
            made = Playing(stage, daemon, ear)
            try:
                yield made
            finally:
                made.osc.__exit__(None, None, None)


# --- the clock ----------------------------------------------------------------------------------


def _build_clock(folder: Path) -> Sequence[str]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotHereError("no C compiler")
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SHIFTED_CLOCK)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "shift").write_bytes(bytes(8))
    return [f"LD_PRELOAD={library}", f"SHIFT={folder / 'shift'}"]


def measure_clock(full: bool) -> Result:
    """The clock of the wall jumps under the daemon; each time a knob, a rig and a save."""
    slowest_save_s = 0.0
    with playing(_build_clock) as made:
        with (made.stage.directory / "shift").open("r+b") as file:
            shift = mmap.mmap(file.fileno(), 8)
        value = 0.0
        for jump_s in JUMPS_S if full else JUMPS_S[:2]:
            shift[:] = struct.pack("q", jump_s)
            for rig in ("champ", "drive"):
                value += 0.5
                if made.ask("/ampd/rig", rig) != (rig,):
                    raise StageError(f"rig {rig} is not played after a jump of {jump_s} s")
                made.turn(value)
                began_s = time.monotonic()
                until(lambda: status(made.osc)["store"]["saved"], "the state is kept", 10.0)
                slowest_save_s = max(slowest_save_s, time.monotonic() - began_s)
            time.sleep(1.2)  # what waits for a second may not wait for a day
            made.ask("/ampd/ping")
        silent_ms = made.silent_ms()
        ended = made.daemon.running.ended
    return Result(
        f"commands within {1000 * made.slowest_s:.0f} ms, kept within "
        f"{1000 * slowest_save_s:.0f} ms, longest silence {silent_ms:.1f} ms",
        not ended and silent_ms <= SILENT_MS,
        made.slowest_s <= ANSWER_S and slowest_save_s <= WRITTEN_S + ANSWER_S,
    )


# --- memory -------------------------------------------------------------------------------------


def _limit(pid: int, what: int, soft: int | None) -> None:
    """Lay a limit on a running process; None lifts it. The hard one stays."""
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (hard if soft is None else soft, hard))


def _size_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def measure_memory(full: bool) -> Result:
    """Steps of address space, from too little for another rig to enough."""
    refused = played = 0
    said: list[str] = []
    with playing() as made:
        folder = made.stage.directory
        model = models.lstm(1, 16)
        model.setdefault("metadata", {})["note"] = "x" * (LARGE_MB * 2**20)
        (folder / "models" / "large.nam").write_text(json.dumps(model))
        before = _size_bytes(made.pid)
        for step_mb in STEPS_MB if full else STEPS_MB[::7]:
            (folder / "rigs" / "large.yaml").write_text(f"{LARGE}  # {step_mb}\n")
            _limit(made.pid, resource.RLIMIT_AS, before + step_mb * 2**20)
            answer = made.choose("large")
            _limit(made.pid, resource.RLIMIT_AS, None)
            if answer == ("large",):
                played += 1
                made.ask("/ampd/rig", "drive")
            else:
                refused += 1
                said.append(str(answer[-1]))
                made.turn(step_mb / 32)
        silent_ms = made.silent_ms()
        ended = made.daemon.running.ended
    told = sum("too little memory" in each for each in said)
    good = not ended and silent_ms <= SILENT_MS and told == refused
    return Result(
        f"{refused} refused, {told} of them with a reason, {played} played; longest "
        f"silence {silent_ms:.1f} ms; commands within {1000 * made.slowest_s:.0f} ms",
        bool(good and refused and played),
    )


# --- descriptors --------------------------------------------------------------------------------


def _answers_tcp(port: int) -> bool:
    """Whether a new connection is served."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2) as client:
        client.sendall(b"\0\0\0\x10/ampd/ping\0\0,\0\0\0")
        client.settimeout(0.2)
        return b"/ampd/pong" in client.recv(200)
    return False


def measure_descriptors(full: bool) -> Result:
    """Half-open connections while the process may have no more descriptors."""
    slowest_s = 0.0
    with playing() as made:
        value = 0.0
        for limit in LIMITS if full else LIMITS[1:2]:
            _limit(made.pid, resource.RLIMIT_NOFILE, limit)
            clients = []
            for _ in range(HALF_OPEN if full else HALF_OPEN // 10):
                client = socket.socket()
                client.setblocking(False)
                with suppress(BlockingIOError):
                    client.connect(("127.0.0.1", made.daemon.port))
                clients.append(client)
            for _ in range(4):
                value += 0.25
                made.turn(value)
                time.sleep(0.3)
            for client in clients:
                client.close()
            _limit(made.pid, resource.RLIMIT_NOFILE, None)
            began_s = time.monotonic()
            until(lambda: _answers_tcp(made.daemon.port), "a new connection is served", 15.0)
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            if made.ask("/ampd/rig", "champ") != ("champ",):
                raise StageError("no rig can be played after the descriptors are back")
            made.ask("/ampd/rig", "drive")
        silent_ms = made.silent_ms()
        ended = made.daemon.running.ended
    return Result(
        f"longest silence {silent_ms:.1f} ms, commands within {1000 * made.slowest_s:.0f} ms, a "
        f"connection served {slowest_s:.2f} s after the release at the latest",
        not ended and silent_ms <= SILENT_MS,
        made.slowest_s <= ANSWER_S and slowest_s <= RECOVER_S,
    )


FAULTS = (
    Fault(
        "F9",
        "the clock jumps by a day and by ten years, both ways",
        "nothing stops: no silence, commands answered, state kept",
        measure_clock,
    ),
    Fault(
        "F10",
        "address space for 1 to 1024 MB more (RLIMIT_AS)",
        "a rig that finds no room is refused with the reason, the sound goes on",
        measure_memory,
    ),
    Fault(
        "F11",
        "16 to 64 descriptors, 1000 half-open connections",
        "sound unaffected, commands answered; served again <= 1 s after the release",
        measure_descriptors,
    ),
)
