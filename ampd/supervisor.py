"""Keeps JACK alive: open, connect, watch, close, reopen, for as long as the daemon runs.

One thread of its own owns the JackHost and makes every libjack call, because any of them can
block for ever when a server hangs and none can be cancelled.  The event loop only looks at the
clock: a call that is not back after 3 s is shown as "lost", the engine is taken out of libjack's
hands so that commands take effect, and sound returns when the call does.  There is one libjack to a
process, and its locks with it: where a call never returns while the server answers other processes,
only a new process has sound, and under systemd the daemon ends for one (JACK-STUCK).

A dead server is closed before anything is opened again: libjack frees the clients of a dead
server on the next open, and closing one afterwards would crash.
"""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ampd.codes import code
from ampd.config import JackConfig
from ampd.errors import AmpdError, JackUnavailableError
from ampd.headstart import Headstart
from ampd.rack import JackError, JackHost, PortInfo
from ampd.session import Session
from ampd.state import JackState
from ampd.wiring import Link, Wiring, current_links

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_S = 0.1
LOOK_S = 0.05
PORTS_S = 1.0
HANG_S = 3.0
STUCK_S = 10.0  # in one call, until it is asked whether others are answered
STOP_LIMIT_S = 4.0
DEFAULT_SERVER = "default"
PROBE = "import sys; from ampd._engine import JackHost; JackHost().open(*sys.argv[1:])"


def server_name(config: JackConfig) -> str:
    """The server that libjack will look for, for people."""
    return config.server_name or os.environ.get("JACK_DEFAULT_SERVER", "") or DEFAULT_SERVER


class Supervisor:
    """The thread "jack" and the watch over it. start, stop: the event loop's thread.

    headstart: what was begun before the session was there; its client is taken over or closed.
    """

    def __init__(
        self,
        session: Session,
        config: JackConfig,
        headstart: Headstart | None = None,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        self._session = session
        self._config = config
        self._headstart = headstart
        self._give_up = give_up  # end the process, where a new one would have sound
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jack", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None
        self._call: tuple[str, float] | None = None  # libjack call under way, and since when
        self._serving: JackHost | None = None
        self._is_released = False  # the watch took the engine away from it
        self._wiring = Wiring(config, session.state.wiring)
        self._controllers: set[str] = set()  # that listen to midi_out
        self._latency_frames = 0  # as the server knows it
        self._said = ""

    def start(self) -> None:
        """Begin to look for a server; returns at once."""
        self._loop = asyncio.get_running_loop()
        self._wiring = Wiring(self._config, self._session.state.wiring)
        self._session.report(self._jack("waiting", "looking for a server"))
        self._thread.start()
        self._watch = asyncio.create_task(self._watch_calls(), name="jack watch")

    async def stop(self) -> bool:
        """Close the client and end the thread. False: libjack hangs and the thread is left."""
        self._stop.set()
        if self._watch is not None:
            self._watch.cancel()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, STOP_LIMIT_S)
        elif self._headstart is not None and self._headstart.wait(0):
            await asyncio.to_thread(self._headstart.close)
        return not self._thread.is_alive()

    # --- the jack thread ------------------------------------------------------------------------

    def _run(self) -> None:
        host = self._first_host()
        while not self._stop.is_set():
            if host.is_open or self._open(host):
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
        host.close()

    def _first_host(self) -> JackHost:
        """The client that plays already, or none. All clients are closed before one is opened."""
        headstart = self._headstart
        if headstart is None:
            return JackHost()
        self._libjack("open", lambda: headstart.wait(None))
        if headstart.is_taken and headstart.host is not None:
            return headstart.host
        self._libjack("close", headstart.close)
        return JackHost()

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
        if not host.is_active:
            engine = self._in_loop(self._session.attach_host(rate))
            self._libjack("activate", lambda: host.activate(engine))
        self._wiring.forget_server()
        self._controllers.clear()
        self._latency_frames = 0
        self._is_released = False
        self._serving = host
        pulse, looked_s, changes, vanished = Pulse(host), 0.0, -1, host.vanished
        while not self._stop.wait(LOOK_S if looked_s else 0):
            now = time.monotonic()
            if host.lost:
                return host.lost
            if self._is_released or pulse.still_s(now) > HANG_S:
                return f"the server has not run a cycle for {HANG_S:g} s"
            self._tell_latency(host)
            if now - looked_s >= PORTS_S or host.graph_changes != changes:
                looked_s, changes = now, host.graph_changes
                if self._libjack("sample_rate", lambda: host.sample_rate_hz) != rate:
                    return "the server changed its sample rate"
                self._look(host, host.vanished != vanished)
                vanished = host.vanished
        return ""

    def _close(self, host: JackHost, reason: str) -> None:
        self._serving = None
        if reason:
            log.warning(
                "JACK is lost: %s; trying again every %g s.",
                reason,
                RETRY_S,
                extra=code("JACK-LOST"),
            )
        self._report(self._jack("lost" if reason else "waiting", reason))
        self._said = ""
        # The session drives before libjack is called once more, which may never come back.
        is_free = host.release()
        if is_free:
            self._in_loop(self._session.detach_host())
        self._libjack("close", host.close)
        if not is_free:
            self._in_loop(self._session.detach_host())

    def _look(self, host: JackHost, vanished: bool) -> None:
        """Connect what the patterns and the player ask for, and report."""
        client = host.client_name
        ports = self._libjack("get_ports", host.ports)
        if host.lost:
            return  # what is seen of a server that goes away was done by nobody
        links = current_links(ports, client)
        for link in self._wiring.look(ports, client, vanished, time.monotonic()):
            try:
                self._libjack("connect", partial(host.connect, link.source, link.destination))
            except JackError as error:
                pair = f"{link.source} -> {link.destination}"
                log.warning("%s: %s", pair, error, extra=code("JACK-LINK"))
                continue
            links.append(link)
            self._wiring.made(link, client)
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
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._session.report, self._wiring.state)

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
        self._loop.call_soon_threadsafe(self._session.report, jack)

    def _jack(self, state: str, reason: str = "") -> JackState:
        return JackState(state, reason, server_name(self._config), self._config.client_name)

    def _say(self, text: str) -> None:
        if text != self._said:
            log.info(text)
            self._said = text

    # --- the loop's watch -----------------------------------------------------------------------

    async def _watch_calls(self) -> None:
        """Show a call that does not come back; the thread itself cannot."""
        pulse: Pulse | None = None
        probed_s = 0.0
        while True:
            await asyncio.sleep(HANG_S / 6)
            host, call, now = self._serving, self._call, time.monotonic()
            if host is not None and (pulse is None or pulse.host is not host):
                pulse = Pulse(host)
            still_s = pulse.still_s(now) if pulse is not None else 0.0
            if call is None or now - call[1] < HANG_S:
                continue
            reason = f"libjack has been busy with {call[0]} for over {HANG_S:g} s"
            jack = self._session.state.jack
            if (jack.state, jack.reason) != ("lost", reason):
                log.warning("JACK does not answer: %s.", reason, extra=code("JACK-HANGS"))
                self._session.report(replace(jack, state="lost", reason=reason))
            if host is not None and still_s > HANG_S and not self._is_released:
                await self._take_back(host)
            if now - max(call[1], probed_s) >= STUCK_S:
                probed_s = now
                await self._look_whether_stuck(call)

    async def _take_back(self, host: JackHost) -> None:
        """The thread hangs in libjack and no cycle runs: the session drives the engine again."""
        self._is_released = True
        if await asyncio.to_thread(host.release):
            await self._session.detach_host()

    async def _look_whether_stuck(self, call: tuple[str, float]) -> None:
        """The server answers others and this process never: only another process has sound."""
        if not await is_answered(self._config) or self._call != call:
            return
        log.error(
            "libjack does not come back from %s, though the server answers others; %s.",
            call[0],
            "ending for a new start" if self._give_up is not None else "restart ampd",
            extra=code("JACK-STUCK"),
        )
        if self._give_up is not None:
            self._give_up()


class Pulse:
    """Whether a server runs cycles. One thread."""

    def __init__(self, host: JackHost) -> None:
        self.host = host
        self._cycles, self._moved_s = -1, 0.0

    def still_s(self, now_s: float) -> float:
        """For how long it has run none, as far as is known."""
        cycles = self.host.cycles
        if cycles != self._cycles:
            self._cycles, self._moved_s = cycles, now_s
        return now_s - self._moved_s


async def is_answered(config: JackConfig) -> bool:
    """Whether the server takes a client of another process, which is ended if it does not."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROBE, f"{config.client_name}-probe", config.server_name),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(HANG_S):
            return await process.wait() == 0
    except TimeoutError:
        process.terminate()  # a client that is killed can spoil libjack's registry
        return False


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
