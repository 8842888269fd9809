"""Keeps JACK alive: open, connect, watch, close, reopen, for as long as the daemon runs.

One thread of its own owns the JackHost and makes every libjack call, because any of them can
block for ever when a server hangs and none can be cancelled.  The event loop only looks at the
clock: a call that is not back after 3 s is shown as "lost", and sound returns when it is.

A dead server is closed before anything is opened again: libjack frees the clients of a dead
server on the next open, and closing one afterwards would crash.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Protocol, TypeVar

from ampd.codes import code
from ampd.config import JackConfig
from ampd.errors import AmpdError, JackUnavailableError
from ampd.rack import JackError, JackHost, PortInfo
from ampd.session import Session
from ampd.state import JackState

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_S = 0.25
LOOK_S = 0.05
PORTS_S = 1.0
HANG_S = 3.0
STOP_LIMIT_S = 4.0
DEFAULT_SERVER = "default"


class Port(Protocol):
    """What link choosing needs to know of a port; PortInfo has it."""

    @property
    def name(self) -> str: ...
    @property
    def is_input(self) -> bool: ...
    @property
    def is_output(self) -> bool: ...
    @property
    def is_midi(self) -> bool: ...


@dataclass(frozen=True)
class Link:
    """One wanted connection."""

    source: str
    destination: str


def choose_links(ports: Sequence[Port], config: JackConfig, client: str) -> list[Link]:
    """The connections that the patterns of `config` ask for among the `ports` that exist.

    An audio pattern takes its first match in JACK's order, a MIDI pattern all of them.
    """
    theirs = [port for port in ports if not port.name.startswith(f"{client}:")]

    def matching(pattern: str, midi: bool, sends: bool) -> list[str]:
        return [
            port.name
            for port in theirs
            if port.is_midi == midi
            and (port.is_output if sends else port.is_input)
            and (port.name == pattern or fnmatchcase(port.name, pattern))
        ]

    links = [Link(name, f"{client}:in_1") for name in matching(config.input, False, True)[:1]]
    for number, pattern in enumerate(config.outputs, 1):
        links += [
            Link(f"{client}:out_{number}", name) for name in matching(pattern, False, False)[:1]
        ]
    for pattern in config.midi_in:
        links += [Link(name, f"{client}:midi_in") for name in matching(pattern, True, True)]
    for pattern in config.midi_out:
        links += [Link(f"{client}:midi_out", name) for name in matching(pattern, True, False)]
    return list(dict.fromkeys(links))


def server_name(config: JackConfig) -> str:
    """The server that libjack will look for, for people."""
    return config.server_name or os.environ.get("JACK_DEFAULT_SERVER", "") or DEFAULT_SERVER


class Supervisor:
    """The thread "jack" and the watch over it. start, stop: the event loop's thread."""

    def __init__(self, session: Session, config: JackConfig) -> None:
        self._session = session
        self._config = config
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jack", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None
        self._call: tuple[str, float] | None = None  # libjack call under way, and since when
        self._linked: set[Link] = set()
        self._controllers: set[str] = set()  # that listen to midi_out
        self._latency_frames = 0  # as the server knows it
        self._said = ""

    def start(self) -> None:
        """Begin to look for a server; returns at once."""
        self._loop = asyncio.get_running_loop()
        self._session.report_jack(self._jack("waiting", "looking for a server"))
        self._thread.start()
        self._watch = asyncio.create_task(self._watch_calls(), name="jack watch")

    async def stop(self) -> bool:
        """Close the client and end the thread. False: libjack hangs and the thread is left."""
        self._stop.set()
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.to_thread(self._thread.join, STOP_LIMIT_S)
        return not self._thread.is_alive()

    # --- the jack thread ------------------------------------------------------------------------

    def _run(self) -> None:
        host = JackHost()
        while not self._stop.is_set():
            if self._open(host):
                reason = "an internal error; see the log"
                try:
                    reason = self._serve(host)
                except (JackError, AmpdError, RuntimeError, ValueError) as error:
                    reason = str(error)
                except Exception:
                    # A bug here must not be the end of all sound.
                    log.exception("the supervisor stumbled", extra=code("INTERNAL"))
                finally:
                    self._close(host, reason)
            self._stop.wait(RETRY_S)

    def _open(self, host: JackHost) -> bool:
        try:
            self._libjack(
                "open", lambda: host.open(self._config.client_name, self._config.server_name)
            )
        except JackError as error:
            self._say(f"waiting for JACK: {error}")
            before = self._session.state.jack.state
            self._report(self._jack("lost" if before == "lost" else "waiting", str(error)))
            return False
        return True

    def _serve(self, host: JackHost) -> str:
        """Run until the server is gone, the rate changes or stop; returns why."""
        rate = self._libjack("sample_rate", lambda: host.sample_rate_hz)
        engine = self._in_loop(self._session.attach_host(rate))
        self._libjack("activate", lambda: host.activate(engine))
        self._linked.clear()
        self._controllers.clear()
        self._latency_frames = 0
        cycles, moved_s, looked_s = -1, time.monotonic(), 0.0
        while not self._stop.wait(LOOK_S):
            now = time.monotonic()
            if host.lost:
                return host.lost
            if host.cycles != cycles:
                cycles, moved_s = host.cycles, now
            elif now - moved_s > HANG_S:
                return f"the server has not run a cycle for {HANG_S:g} s"
            self._tell_latency(host)
            if now - looked_s >= PORTS_S:
                looked_s = now
                if self._libjack("sample_rate", lambda: host.sample_rate_hz) != rate:
                    return "the server changed its sample rate"
                self._look(host)
        return ""

    def _close(self, host: JackHost, reason: str) -> None:
        if reason:
            log.warning(
                "JACK is lost: %s; trying again every %g s.",
                reason,
                RETRY_S,
                extra=code("JACK-LOST"),
            )
        self._report(self._jack("lost" if reason else "waiting", reason))
        self._said = ""
        self._libjack("close", host.close)
        self._in_loop(self._session.detach_host())

    def _look(self, host: JackHost) -> None:
        """Connect what the patterns ask for and report. A link is made once for as long as its
        port exists, so what the player disconnects by hand stays apart."""
        client = host.client_name
        ports = self._libjack("get_ports", host.ports)
        wanted = choose_links(ports, self._config, client)
        self._linked &= set(wanted)
        links = current_links(ports, client)
        for link in wanted:
            if link not in self._linked and link not in links:
                try:
                    call = partial(host.connect, link.source, link.destination)
                    self._libjack("connect", call)
                except JackError as error:
                    pair = f"{link.source} -> {link.destination}"
                    log.warning("%s: %s", pair, error, extra=code("JACK-LINK"))
                    continue
                links.append(link)
            self._linked.add(link)
        self._greet_controllers(links, client)
        jack = JackState(
            state="running",
            server=server_name(self._config),
            client=client,
            sample_rate_hz=host.sample_rate_hz,
            period_frames=host.period_frames,
            realtime=host.is_realtime,
            xruns=host.xruns,
            links=tuple((link.source, link.destination) for link in links),
        )
        self._say(
            f"JACK runs: server {jack.server}, {jack.sample_rate_hz} Hz, "
            f"{jack.period_frames} frames, {'real-time' if jack.realtime else 'NOT real-time'}"
        )
        self._report(jack)

    def _greet_controllers(self, links: Sequence[Link], client: str) -> None:
        """A controller that was connected, by a pattern or by hand, is told all values."""
        controllers = {link.destination for link in links if link.source == f"{client}:midi_out"}
        if controllers - self._controllers:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._session.refresh_controllers)
        self._controllers = controllers

    def _tell_latency(self, host: JackHost) -> None:
        """The server learns the latency of the rig that is heard."""
        frames = self._session.state.latency_frames
        if frames == self._latency_frames:
            return
        self._latency_frames = frames
        try:
            self._libjack("set_latency", lambda: host.set_latency(frames))
        except JackError as error:
            log.warning(str(error), extra=code("JACK-LATENCY"))

    def _libjack(self, name: str, call: Callable[[], T]) -> T:
        self._call = (name, time.monotonic())
        try:
            return call()
        finally:
            self._call = None

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _report(self, jack: JackState) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._session.report_jack, jack)

    def _jack(self, state: str, reason: str = "") -> JackState:
        return JackState(state, reason, server_name(self._config), self._config.client_name)

    def _say(self, text: str) -> None:
        if text != self._said:
            log.info(text)
            self._said = text

    # --- the loop's watch -----------------------------------------------------------------------

    async def _watch_calls(self) -> None:
        """Show a call that does not come back; the thread itself cannot."""
        while True:
            await asyncio.sleep(HANG_S / 6)
            call = self._call
            if call is None or time.monotonic() - call[1] < HANG_S:
                continue
            reason = f"libjack has been busy with {call[0]} for over {HANG_S:g} s"
            jack = self._session.state.jack
            if (jack.state, jack.reason) != ("lost", reason):
                log.warning("JACK does not answer: %s.", reason, extra=code("JACK-HANGS"))
                self._session.report_jack(replace(jack, state="lost", reason=reason))


def current_links(ports: Sequence[PortInfo], client: str) -> list[Link]:
    """The connections that the client has."""
    links = []
    for port in ports:
        if port.name.startswith(f"{client}:"):
            for other in port.connections:
                pair = (port.name, other) if port.is_output else (other, port.name)
                links.append(Link(*pair))
    return links


def list_ports(config: JackConfig, limit_s: float = HANG_S) -> list[PortInfo]:
    """All ports of the server, read by a short-lived client of another name.

    Raises JackUnavailableError: no libjack, no server, or no answer within limit_s.
    """
    found: list[PortInfo] = []
    trouble: list[str] = []

    def look() -> None:
        try:
            host = JackHost()
            host.open(f"{config.client_name}-ports", config.server_name)
            try:
                found.extend(host.ports())
            finally:
                host.close()
        except JackError as error:
            trouble.append(str(error))

    thread = threading.Thread(target=look, name="jack ports", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        raise JackUnavailableError(
            f"JACK server {server_name(config)} has not answered within {limit_s:g} s; "
            f"it hangs, restart it."
        )
    if trouble:
        raise JackUnavailableError(trouble[0])
    return [port for port in found if not port.name.startswith(f"{config.client_name}-ports:")]
