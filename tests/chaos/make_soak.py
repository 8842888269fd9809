"""Ten minutes of playing while the control side is under load: `make soak MINUTES=10`.

A daemon plays the shape of NAM A1 standard on a server of 64 frames at 48 kHz, asked for its State
all the time, with busy processes beside it.  A second server carries the same graph with a client
that does nothing in the daemon's place (bare_client.c): its xruns are the machine's own.  What the
callback costs in processor time is measured beside them, because a wall clock on a shared machine
measures the others; and since a host takes time from its guest that the guest's clocks count as
the thread's own, so is a yardstick of the same length.  What is as frequent in the yardstick is
the machine's; the figures asked hold all the same.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import models
from tests.chaos.fault import Fault, NotHereError, Result
from tests.demo.osc import Osc
from tests.demo.stage import ROOT, Running, Stage, can_unshare, status, until_status
from tests.e2e.gig import HERE

MINUTES = float(os.environ.get("MINUTES") or 10)
ASK_S = 0.05
MOST, MOST_P999 = 0.5, 0.35  # shares of a period
MOST_GROWN_MB = 1.0
WARM_SHARE = 0.1  # of the run, before what is held is noted
PROGRAM = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "ampd.cli")
BUSY = "while True: sum(range(10000))"


@dataclass(frozen=True)
class Held:
    """What another process holds."""

    rss_mb: float
    descriptors: int
    threads: int
    maps: int


def held(pid: int) -> Held:
    folder = Path("/proc") / str(pid)
    pages = int((folder / "statm").read_text().split()[1])
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        sum(1 for _ in (folder / "fd").iterdir()),
        sum(1 for _ in (folder / "task").iterdir()),
        (folder / "maps").read_text().count("\n"),
    )


def cost(seconds: float) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "tests.chaos.callback_cost", str(seconds)]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def cost_told(process: "subprocess.Popen[str]") -> dict[str, dict[str, float]]:
    """What callback_cost says of the engine and of its yardstick."""
    out, _ = process.communicate()
    told: dict[str, dict[str, float]] = json.loads(out)
    return told


def in_words(cost: dict[str, float]) -> str:
    places = ", ".join(f"{key} {cost[key]:.1%}" for key in ("p50", "p99", "p99.9"))
    counts = f"{cost['over_half']:.0f} over a half, {cost['late']:.0f} over all of it"
    return f"{places}, max {cost['maximum']:.1%}, {counts}"


def bare_program(folder: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotHereError("there is no C compiler")
    program, source = folder / "bare_client", Path(__file__).with_name("bare_client.c")
    built = subprocess.run(
        [compiler, "-O1", "-o", str(program), str(source), "-ljack"],
        capture_output=True,
        check=False,
    )
    if built.returncode != 0:
        raise NotHereError("there is no libjack to build with")
    return program


@contextmanager
def load() -> Iterator[str]:
    """A process a core at the usual priority, by stress-ng where it is; says by what."""
    cores = os.cpu_count() or 1
    stress = shutil.which("stress-ng")
    if stress is not None:
        words = ["--cpu", str(cores), "--vm", "1", "--vm-bytes", "64M", "--io", "2", "--quiet"]
        started = [subprocess.Popen([stress, *words])]
    else:
        started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(cores)]
    try:
        yield "stress-ng" if stress is not None else f"{cores} busy processes"
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def write_rig(folder: Path) -> None:
    (folder / "rigs").mkdir(parents=True)
    (folder / "rigs" / "a1.yaml").write_text("chain:\n  - amp: {model: a1}\n")
    (folder / "models" / "a1").mkdir(parents=True)
    model = folder / "models" / "a1" / "a1.nam"
    model.write_text(json.dumps(models.a1("a1-standard")))


def ended(client: Running) -> dict[str, Any]:
    client.process.terminate()
    return client.wait_for("ended")


def play(osc: Osc, pid: int, seconds: float) -> tuple[list[dict[str, Any]], Held, Held]:
    """Ask for the State all the time; returns those of the load, and what the daemon held when it
    was warm and in the end."""
    loads: list[dict[str, Any]] = []
    until_s = time.monotonic() + seconds
    warm_s = time.monotonic() + WARM_SHARE * seconds
    before: Held | None = None
    while time.monotonic() < until_s:
        loads.append(status(osc)["load"])
        if before is None and time.monotonic() > warm_s:
            before = held(pid)
        time.sleep(ASK_S)
    after = held(pid)
    return loads, before or after, after


def soak(folder: Path, seconds: float) -> Result:
    bare = bare_program(folder)
    write_rig(folder / "ours")
    with (
        Stage(folder / "ours", private=True, server_name="soak") as ours,
        Stage(folder / "theirs", private=True, server_name="alone") as theirs,
    ):
        ours.start_server()
        theirs.start_server()
        daemon = ours.start_daemon("--rig", "a1", settings=HERE, program=PROGRAM)
        theirs.start("passive", [str(bare), "", ""]).wait_for("ready")
        # JACK numbers the second of a name.
        alone = theirs.start("bare", [str(bare), "bare-01:in", "bare-01:out"])
        alone.wait_for("ready")
        with daemon.osc() as osc:
            until_status(osc, lambda s: s["jack"]["state"] == "running", "JACK runs")
            until_status(osc, lambda s: s["rig"] == "a1", "the rig is heard")
            guitar = ours.start("bare", [str(bare), "ampd:in_1", "ampd:out_1"])
            guitar.wait_for("ready")
            first = status(osc)["load"]
            with load() as busy:
                measured = cost(seconds)
                loads, before, after = play(osc, daemon.running.process.pid, seconds)
                told = cost_told(measured)
                engine, yardstick = told["engine"], told["yardstick"]
            with_us, without = ended(guitar), ended(alone)
    late = {key: loads[-1][key] - first[key] for key in ("late_engine", "late_machine")}
    walls = ", ".join(
        f"{key} {100 * max(each[key] for each in loads):.0f} %" for key in ("p50", "p99", "maximum")
    )
    same = (before.descriptors, before.threads, before.maps) == (
        after.descriptors,
        after.threads,
        after.maps,
    )
    grown_mb = after.rss_mb - before.rss_mb
    return Result(
        f"{with_us['cycles']} cycles beside {busy}: callback CPU {in_words(engine)} of a period, a "
        f"yardstick of the same length {in_words(yardstick)}; by the clock of the worst second "
        f"{walls}; in the daemon {late['late_engine']} over a period by CPU time, "
        f"{late['late_machine']} by the clock alone; xruns {with_us['xruns']}, of the same graph "
        f"without the daemon {without['xruns']}; memory {grown_mb:+.2f} MB, "
        f"descriptors, threads and maps {'equal' if same else f'{before} -> {after}'}",
        late["late_engine"] == 0
        and engine["maximum"] < MOST
        and engine["p99.9"] < MOST_P999
        and with_us["xruns"] <= without["xruns"]
        and same
        and grown_mb <= MOST_GROWN_MB,
    )


def measure(full: bool) -> Result:
    """MINUTES of playing; the short form plays for half a second without a server, and asserts no
    time."""
    if not full:
        engine = cost_told(cost(0.5))["engine"]
        return Result(f"{engine['callbacks']:.0f} callbacks", engine["callbacks"] > 0)
    if not shutil.which("jackd") or not can_unshare():
        raise NotHereError("jackd, or the right to a mount namespace, is absent")
    with tempfile.TemporaryDirectory(prefix="ampd-soak-") as folder:
        return soak(Path(folder), 60 * MINUTES)


FAULTS = (
    Fault(
        "R5",
        f"{MINUTES:g} minutes at 64 frames and 48 kHz, A1 standard, the control side under load",
        "0 xruns by the engine: callback CPU max < 50 % of a period, p99.9 < 35 %; raw xruns not "
        "above those of the same graph without the daemon; nothing grows",
        measure,
    ),
)
