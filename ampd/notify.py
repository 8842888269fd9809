"""Tells systemd how the daemon is: its own protocol, a datagram of lines, needs no library.

Where nobody asked to be told ($NOTIFY_SOCKET), nothing is sent.  systemd-python's notify() does the
same behind a library of C that a wheel would have to be built for.
"""

import asyncio
import os
import socket

from ampd.session import Session
from ampd.state import Change, Event, State, Swapped

READY_LIMIT_S = 1.0  # for a JACK that runs; without one, the control answers and JACK is awaited
MAX_STATUS = 200


def notify(*lines: str) -> None:
    """Send these lines to whoever started the process. Never raises, never blocks."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.setblocking(False)
        try:
            out.sendto("\n".join(lines).encode(), "\0" + path[1:] if path[0] == "@" else path)
        except OSError:
            return  # the next one may arrive


def is_supervised() -> bool:
    """Whether systemd started the process, and starts another one when it ends."""
    return bool(os.environ.get("NOTIFY_SOCKET") and os.environ.get("INVOCATION_ID"))


def watchdog_period_s() -> float:
    """How often systemd wants a sign of life, halved; 0 where it does not."""
    text, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(text) / 1e6 / 2


def status_line(state: State) -> str:
    """What `systemctl status` shows of a State."""
    jack = state.jack
    if jack.state == "running":
        host = f"JACK {jack.server}, {jack.sample_rate_hz} Hz, {jack.period_frames} frames"
    else:
        host = f"JACK {jack.state}" + (f": {jack.reason}" if jack.reason else "")
    on = "".join(f", {path}" for path in ("bypass", "mute", "tuner") if state.globals.get(path))
    return f"rig {state.wanted_rig or '-'}{on}; {host}".replace("\n", " ")[:MAX_STATUS]


class Herald:
    """Tells systemd of a session's life. Event loop's thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._line = ""
        self._running = asyncio.Event()

    async def run(self) -> None:
        """Say that it is ready once it is, then that the loop is alive, until cancelled."""
        end_events = self._session.subscribe(self._hear)
        try:
            self._hear(Change("jack", self._session.state.jack.state))
            try:
                async with asyncio.timeout(READY_LIMIT_S):
                    await self._running.wait()
            except TimeoutError:
                pass
            notify("READY=1", f"STATUS={status_line(self._session.state)}")
            period_s = watchdog_period_s()
            while period_s:
                notify("WATCHDOG=1")
                await asyncio.sleep(period_s)
            await asyncio.Event().wait()
        finally:
            end_events()

    def _hear(self, event: Event) -> None:
        if not isinstance(event, Change | Swapped):
            return
        if self._session.state.jack.state == "running":
            self._running.set()
        line = status_line(self._session.state)
        if line != self._line:
            self._line = line
            notify(f"STATUS={line}")
