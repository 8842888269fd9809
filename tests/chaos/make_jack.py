"""The JACK server killed, restarted with other rates and periods, and hung.

A daemon lives through all of it on a stage of its own.  For each life of the server an ear
(tests/demo/ear.py) looks for it every 20 ms; sound counts from the moment that it has its client to
the first sample that it hears, and only where the rig sounds then as it does later.
"""

import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.start import DAEMON, EAR
from tests.chaos.fault import Fault, NotHereError, Result
from tests.demo.osc import Osc
from tests.demo.stage import Running, Stage, StageError, can_unshare, status, until
from tests.e2e.rack import write_library

SETTINGS = {
    "rigs": '"rigs"',
    "models": '"models"',
    "input": '"ear:tone"',
    "outputs": '["ear:left", "system:playback_2"]',
}
BY_HAND = ("ampd:out_2", "system:playback_1")
TAKEN_AWAY = ("ampd:out_2", "system:playback_2")
RIG, KNOB, VALUE = "net", "amp/gain_db", 4.5
RATES, PERIODS = (44_100, 48_000, 96_000), (32, 64, 96, 128, 256, 512, 1024)
SETTLED_S = 1.0  # no more silence is to come then
MEDIAN_S, LONGEST_S = 1.0, 2.0
SAME, CENTS = 0.05, 1.0
HANG_S, LOOK_S = 3.0, 0.05
TOLD_S = 0.75  # more: the watch looks every half second
ANSWER_S = 0.5  # of a control plane on a machine that does much else


@dataclass(frozen=True)
class Life:
    """What was heard of one life of the server."""

    seconds: float  # from its first client to the first sample
    unlike: float
    cents: float


class World:
    """A stage with a server, a daemon that plays, and the ear of the server's life."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.server = stage.start_server()
        whole = [str(word) for word in self.server.process.args]  # type: ignore[union-attr]
        self._argv = whole[whole.index("jackd") :]
        self.daemon = stage.start_daemon("--rig", RIG, settings=SETTINGS, program=DAEMON)
        self.osc: Osc = self.daemon.osc()
        self._ear: Running = stage.start("ear", EAR)

    def __enter__(self) -> "World":
        self.heard()
        self.osc.ask(f"/ampd/{KNOB}", VALUE)
        return self

    def __exit__(self, *_: object) -> None:
        self.osc.__exit__(None, None, None)

    def heard(self) -> Life:
        """What the ear of this life heard."""
        heard, back = self._ear.wait_for("heard"), self._ear.wait_for("back")
        return Life(heard["second"] - back["second"], heard["unlike"], abs(heard["cents"]))

    def heard_again(self, since_s: float) -> float:
        """The second at which sound was back for good after a silence since then."""

        def found() -> float:
            return max(
                (line["second"] for line in self._ear.said() if _is_again(line)), default=0.0
            )

        until(lambda: found() > since_s, "sound is back")
        time.sleep(SETTLED_S)
        return found()

    def new_ear(self) -> None:
        """Begin to look for the next life."""
        self._ear.stop()
        self._ear = self.stage.start("ear", EAR)
        self._ear.wait_for("ready")

    def kill(self) -> None:
        self.server.process.kill()
        self.server.wait(5.0)

    def restart(self, rate_hz: int = 48_000, period_frames: int = 64) -> Life:
        """Kill the server and start another one."""
        inner = self.inner_pid()
        if inner:
            os.kill(inner, signal.SIGKILL)
        self.kill()
        self.new_ear()
        argv = list(self._argv)
        argv[argv.index("-r", argv.index("dummy")) + 1] = str(rate_hz)
        argv[argv.index("-p", argv.index("dummy")) + 1] = str(period_frames)
        self.server = self.stage.start("jackd", argv)
        return self.heard()

    def inner_pid(self) -> int:
        """Of jackd itself, where what was started only waits for it; 0 where it is the same."""
        pid = self.server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def links(self) -> set[tuple[str, str]]:
        return {(source, other) for source, other in status(self.osc)["jack"]["links"]}

    def is_as_left(self) -> bool:
        """Rig and knob."""
        found = status(self.osc)
        return bool(found["rig"] == RIG and found["values"][KNOB] == VALUE)

    def connect(self, verb: str, pair: tuple[str, str]) -> None:
        self.stage.run(verb, [verb, *pair])


class PipeWorld(World):
    """The same where PipeWire is the server, without a session manager."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.server = stage.start("pipewire", ["pipewire"])
        self.daemon = stage.start_daemon("--rig", RIG, settings=SETTINGS, program=DAEMON)
        self.osc = self.daemon.osc()
        self._ear = stage.start("ear", EAR)

    def restart(self, rate_hz: int = 48_000, period_frames: int = 64) -> Life:
        self.kill()
        self.new_ear()
        self.server = self.stage.start("pipewire", ["pipewire"])
        return self.heard()


@contextmanager
def pipe_world() -> Iterator[World]:
    if not can_unshare() or not all(map(shutil.which, ("pipewire", "pw-jack"))):
        raise NotHereError("pipewire and pw-jack, or the right to unshare a mount namespace")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        wrapper = ("env", f"XDG_RUNTIME_DIR={runtime}", f"HOME={runtime}", "pw-jack", "-p", "64")
        with Stage(folder, private=True, wrapper=wrapper) as stage:
            write_library(folder)
            with PipeWorld(stage) as made:
                yield made


@contextmanager
def world() -> Iterator[World]:
    if not can_unshare():
        raise NotHereError("no right to unshare a mount namespace")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Stage(folder, private=True, server_name="fault") as stage:
            write_library(folder)
            with World(stage) as made:
                yield made


def _is_again(line: dict[str, Any]) -> bool:
    return line.get("event") == "again"


def told(lives: list[Life], good: bool, more: str = "") -> Result:
    """A row of restarts."""
    seconds = [life.seconds for life in lives]
    median, longest = statistics.median(seconds), max(seconds)
    unlike, cents = max(life.unlike for life in lives), max(life.cents for life in lives)
    return Result(
        f"{len(lives)} times: {median:.2f} s median, {longest:.2f} s longest; own sound "
        f"{'each time' if unlike <= SAME else f'off by {unlike:.2f}'}; {cents:.2f} cents{more}",
        good and unlike <= SAME and cents <= CENTS,
        median <= MEDIAN_S and longest <= LONGEST_S,
    )


def measure_killed(full: bool) -> Result:
    """The server killed and restarted."""
    with world() as made:
        made.connect("jack_connect", BY_HAND)
        made.connect("jack_disconnect", TAKEN_AWAY)
        until(lambda: status(made.osc)["wiring"]["apart"], "what was taken away is noted")
        pid = made.daemon.running.process.pid
        lives, good = [], 0
        for _ in range(50 if full else 1):
            lives.append(made.restart())
            links = made.links()
            good += BY_HAND in links and TAKEN_AWAY not in links and made.is_as_left()
        alive = made.daemon.running.process.pid == pid and not made.daemon.running.ended
    more = f"; rig, knob and links by hand {good} of {len(lives)}"
    return told(lives, alive and good == len(lives), more)


def measure_pipewire(full: bool) -> Result:
    """PipeWire killed and restarted."""
    lives, good = [], 0
    with pipe_world() as made:
        for _ in range(50 if full else 1):
            lives.append(made.restart())
            good += made.is_as_left()
        ended = made.daemon.running.ended
    more = f"; rig and knob {good} of {len(lives)}"
    return told(lives, good == len(lives) and not ended, more)


def measure_rates(full: bool) -> Result:
    """Every rate with every period, then the period changed while it runs."""
    pairs = [(rate, period) for rate in RATES for period in PERIODS]
    lives = []
    with world() as made:
        for rate, period in pairs if full else [(44_100, 96)]:
            lives.append(made.restart(rate, period))
            if not made.is_as_left():
                raise StageError(f"{rate} Hz, {period} frames: the rig is not as it was left")
        live = 0
        for period in PERIODS if full else (256,):
            made.stage.run("jack_bufsize", ["jack_bufsize", str(period)])
            made.new_ear()
            heard = made.heard()
            frames = status(made.osc)["jack"]["period_frames"]
            live += frames == period and heard.unlike <= SAME and heard.cents <= CENTS
    asked = len(PERIODS) if full else 1
    return told(lives, live == asked, f"; {live} of {asked} periods changed live")


def measure_hung(full: bool) -> Result:
    """The server stopped for a while, then let go on."""
    back_s, told_s, longest_s = [], [], 0.0
    with world() as made:
        for _ in range(10 if full else 1):
            pid = made.inner_pid() or made.server.process.pid
            stopped_s = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            try:
                found_s, answer_s = _while_hung(made, stopped_s)
            finally:
                goes_on_s = time.monotonic()
                os.kill(pid, signal.SIGCONT)
            told_s.append(found_s)
            longest_s = max(longest_s, answer_s)
            back_s.append(made.heard_again(goes_on_s) - goes_on_s)
    median_s, last_s = statistics.median(back_s), max(back_s)
    return Result(
        f"{len(back_s)} times: told after {max(told_s):.1f} s, commands meanwhile within "
        f"{1000 * longest_s:.0f} ms, sound {median_s:.2f} s median, {last_s:.2f} s longest after "
        f"the server goes on",
        True,  # whatever is no figure here has raised
        median_s <= MEDIAN_S
        and last_s <= LONGEST_S
        and max(told_s) <= HANG_S + TOLD_S
        and longest_s <= ANSWER_S,
    )


def _while_hung(made: World, stopped_s: float) -> tuple[float, float]:
    """Seconds until the daemon says that the server is lost, and of the slowest answer; commands
    take effect."""
    slowest_s, lost_s = 0.0, 0.0
    while time.monotonic() < stopped_s + HANG_S + 2.0:
        began_s = time.monotonic()
        state = status(made.osc)["jack"]["state"]
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        if state == "lost" and not lost_s:
            lost_s = time.monotonic() - stopped_s
        time.sleep(LOOK_S)
    if not lost_s:
        raise StageError("the daemon never said that the server is lost")
    for value in (VALUE - 1.0, VALUE):
        began_s = time.monotonic()
        if made.osc.ask(f"/ampd/{KNOB}", value).values != (value,):
            raise StageError("a command did not take effect while the server hung")
        slowest_s = max(slowest_s, time.monotonic() - began_s)
    return lost_s, slowest_s


FAULTS = (
    Fault(
        "F1",
        "jackd killed -9 and restarted",
        "sound <= 1 s median, <= 2 s longest after the server is back; same rig, same links",
        measure_killed,
    ),
    Fault(
        "F1p",
        "PipeWire killed -9 and restarted",
        "the same",
        measure_pipewire,
    ),
    Fault(
        "F3",
        "44.1, 48, 96 kHz, 32 to 1024 frames",
        "the same; pitch within 1 cent",
        measure_rates,
    ),
    Fault(
        "F4",
        "the server hangs, SIGSTOP",
        "told after 3 s, control answers throughout; sound as after a restart",
        measure_hung,
    ),
)
