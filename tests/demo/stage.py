"""Real processes on a stage: a JACK server, the daemon, clients; all ended by their own pid.

A private stage has a /dev/shm of its own (jackd's registry lives there and has no recovery), in a
mount namespace held by one sleeping process; it ends with the stage.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.demo.osc import Osc, free_port

ROOT = Path(__file__).resolve().parents[2]
AMPD = str(Path(sys.executable).parent / "ampd")
PROBE_LIMIT_S = 5.0
START_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0


class StageError(RuntimeError):
    """Something on the stage did not do what it was started for; the text has its last words."""


def until(true: Callable[[], Any], what: str, limit_s: float = START_LIMIT_S) -> Any:
    """Poll until `true` gives something true, and return that; StageError after the limit."""
    deadline = time.monotonic() + limit_s
    while not (result := true()):
        if time.monotonic() > deadline:
            raise StageError(f"not within {limit_s:g} s: {what}")
        time.sleep(0.02)
    return result


@dataclass
class Running:
    """One started process, and where its words go."""

    name: str
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def said(self) -> list[dict[str, Any]]:
        """Its JSON lines so far (a half-written last line is left for the next call)."""
        lines = self.out.read_text(errors="replace").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def last_words(self) -> str:
        text = self.err.read_text(errors="replace") + self.out.read_text(errors="replace")
        return "\n".join(text.strip().splitlines()[-8:])

    def wait_for(self, event: str, limit_s: float = START_LIMIT_S) -> dict[str, Any]:
        """The first line {"event": event, ...}."""

        def found() -> dict[str, Any] | None:
            over = self.ended
            for line in self.said():
                if line.get("event") == event:
                    return line
            if over:
                raise StageError(f"{self.name} ended before '{event}': {self.last_words()}")
            return None

        result: dict[str, Any] = until(found, f"{self.name} says '{event}'", limit_s)
        return result

    def wait(self, limit_s: float) -> int:
        """Its exit code; StageError when it lives on after the limit."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise StageError(f"{self.name} still runs after {limit_s:g} s") from None

    def stop(self, limit_s: float = STOP_LIMIT_S) -> int:
        """SIGTERM, and SIGKILL for what does not listen. Returns the exit code."""
        if not self.ended:
            self.process.terminate()
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return int(self.process.returncode)


@dataclass
class Stage:
    """Where the processes of one scenario live. Use as a context manager.

    directory  their logs, configuration and recordings
    private    own /dev/shm and own server name; needs the right to unshare
    wrapper    put before every command (pw-jack)
    """

    directory: Path
    private: bool = False
    wrapper: Sequence[str] = ()
    server_name: str = ""
    running: list[Running] = field(default_factory=list)
    _holder: Running | None = None

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.private and can_unshare():
            mount = 'mount -t tmpfs -o size=256m tmpfs /dev/shm && echo \'{"event": "ready"}\''
            held = self.start(
                "namespace", ["unshare", "--mount", "sh", "-c", f"{mount} && exec sleep inf"]
            )
            held.wait_for("ready")
            self._holder = held
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for running in reversed(self.running):
            running.stop()

    def environment(self) -> dict[str, str]:
        env = dict(os.environ, PYTHONUNBUFFERED="1", OPENBLAS_NUM_THREADS="1")
        env["JACK_NO_START_SERVER"] = "1"
        if self.server_name:
            env["JACK_DEFAULT_SERVER"] = self.server_name
        return env

    def command(self, argv: Sequence[str], cwd: Path = ROOT) -> list[str]:
        """The whole command: dies with its parent, and lives in the namespace."""
        whole = ["setpriv", "--pdeathsig", "TERM", "--"]
        if self._holder:
            ns = f"--mount=/proc/{self._holder.process.pid}/ns/mnt"
            whole += ["nsenter", ns, "--", "env", "-C", str(cwd)]
        return [*whole, *self.wrapper, *argv]

    def start(self, name: str, argv: Sequence[str], cwd: Path = ROOT) -> Running:
        """Start a process for as long as the stage lasts, or until stop()."""
        number = len(self.running)
        out = self.directory / f"{number:02d}-{name}.out"
        err = self.directory / f"{number:02d}-{name}.err"
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = subprocess.Popen(
                self.command(argv, cwd),
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
                cwd=cwd,
                env=self.environment(),
                start_new_session=True,  # Ctrl-C reaches the director alone, who ends the rest
            )
        started = Running(name, process, out, err)
        self.running.append(started)
        return started

    def run(
        self, name: str, argv: Sequence[str], cwd: Path = ROOT, limit_s: float = START_LIMIT_S
    ) -> Running:
        """Start a process and wait for its end; StageError unless it ends well in time."""
        ran = self.start(name, argv, cwd)
        try:
            code = ran.wait(limit_s)
        except StageError:
            ran.stop()
            raise
        if code != 0:
            raise StageError(f"{name} ended with {code}: {ran.last_words()}")
        return ran

    def tool(self, verb: str, *arguments: object) -> Running:
        """Start one of jack_tools."""
        return self.start(verb, [*tool_argv(verb), *map(str, arguments)])

    def probe(self, limit_s: float = PROBE_LIMIT_S) -> dict[str, Any] | None:
        """What the server says of itself; None when there is none or it does not answer."""
        probe = self.start("probe", tool_argv("probe"))
        with contextlib.suppress(StageError):
            if probe.wait(limit_s) == 0:
                return probe.said()[0]
        probe.stop()
        return None

    def start_daemon(
        self,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        port: int = 0,
        program: Sequence[str] = (AMPD,),
    ) -> "Daemon":
        """Start `ampd run` with an ampd.toml of its own in the stage's folder.

        settings: TOML values of [jack] by key ({"client_name": '"x"'}), and rigs, models and state
            of [paths]
        port: of OSC; 0 finds a free one
        program: what stands before `run`
        """
        jack = {"input": '""', "outputs": "[]", "midi_in": "[]", **(settings or {})}
        paths = {key: jack.pop(key, f'"{ROOT / key}"') for key in ("rigs", "models")}
        port = port or free_port()
        # Nothing is left over from another daemon, unless that is what is looked at.
        paths["state"] = jack.pop("state", f'"state-{len(self.running)}"')
        text = [f"[osc]\nport = {port}", "[paths]", *(f"{k} = {v}" for k, v in paths.items())]
        text += ["[jack]", *(f"{k} = {v}" for k, v in jack.items())]
        (self.directory / "ampd.toml").write_text("\n".join(text) + "\n")
        started = self.start("ampd", [*program, "run", *arguments], cwd=self.directory)
        return Daemon(started, port)

    def start_server(self, period_frames: int = 64, rate_hz: int = 48_000) -> Running:
        """A jackd of our own on the dummy driver: with real-time threads where that is allowed.

        -S: a cycle waits for its clients, so a stalled machine is late but loses no sound. The
        ports are as many as systemd/jackd.service has.
        """
        self.server_name = self.server_name or f"ampd-{os.getpid()}"
        driver = ["-d", "dummy", "-r", str(rate_hz), "-p", str(period_frames)]
        for realtime in ("-R", "-r"):
            argv = ["jackd", realtime, "-S", "--port-max", "256", "-n", self.server_name, *driver]
            server = self.start("jackd", argv)
            deadline = time.monotonic() + START_LIMIT_S
            while not server.ended and time.monotonic() < deadline:
                if self.probe():
                    return server
            server.stop()
        raise StageError(f"jackd does not start: {server.last_words()}")

    def server_is_sick(self) -> bool:
        """Whether a server of this stage has lost its graph, by its own words."""
        servers = (running for running in self.running if running.name == "jackd")
        return any("may now behave abnormally" in s.err.read_text("utf-8") for s in servers)


@dataclass
class Daemon:
    """A running `ampd run`, and the way to talk with it."""

    running: Running
    port: int

    def osc(self) -> Osc:
        """A conversation with the daemon, once it answers a ping."""
        osc = Osc(self.port)

        def answers() -> bool:
            if self.running.ended:
                raise StageError(f"ampd ended: {self.running.last_words()}")
            osc.send("/ampd/ping")
            message = osc.receive(0.2)
            return message is not None and message.address == "/ampd/pong"

        until(answers, "ampd answers a ping")
        return osc


def status(osc: Osc) -> dict[str, Any]:
    """The daemon's whole State."""
    result: dict[str, Any] = json.loads(str(osc.ask("/ampd/status").values[0]))
    return result


def until_status(osc: Osc, true: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
    """Ask for the State until `true` of it; returns that State."""

    def found() -> dict[str, Any] | None:
        now = status(osc)
        return now if true(now) else None

    result: dict[str, Any] = until(found, what)
    return result


def tool_argv(verb: str) -> list[str]:
    return [sys.executable, "-m", "tests.demo.jack_tools", verb]


def can_unshare() -> bool:
    """May this process have a mount namespace of its own?"""
    if not all(map(shutil.which, ("unshare", "nsenter", "setpriv"))):
        return False
    test = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
    return subprocess.run(test, capture_output=True, timeout=10, check=False).returncode == 0
