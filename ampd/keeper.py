"""Keeps what plays on disk, so that the next daemon goes on where this one ended.

The loop hears of changes and looks at the State, at once after a quiet time, then soon, and while
changes go on every GAP_S; a thread of its own writes, so neither the sound nor the loop ever waits
for the disk.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from ampd.codes import code
from ampd.generations import Generations
from ampd.kept import Kept
from ampd.session import Session
from ampd.state import Change, Event, StoreState

log = logging.getLogger(__name__)

FIRST_GAP_S = 0.02  # between two looks; each next one is twice as long while changes go on,
GAP_S = 0.25  # up to this: a long move of a fader is one write in this time
MOVE_S = 0.01  # until the next look while rig and values are on their way
RETRY_S = 30.0
STOP_LIMIT_S = 2.0  # a disk that hangs must not hold up the end


class Keeper:
    """start() and stop(): the event loop's thread."""

    def __init__(
        self,
        session: Session,
        files: Generations,
        note: Callable[[], Callable[[], None]] = lambda: lambda: None,
    ) -> None:
        """note: called in the loop when something is to be kept; what it returns is called in the
        thread, behind the write."""
        self._session = session
        self._files = files
        self._note = note
        self._behind: Callable[[], None] | None = None  # what note returned
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looked_s = 0.0
        self._gap_s = FIRST_GAP_S
        self._offered: Kept | None = None  # to the thread
        self._on_disk: Kept | None = None
        self._error = ""
        self._end_events: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._wake = threading.Condition()  # of the two below
        self._pending: Kept | None = None
        self._stopping = False

    def start(self, known: Kept | None) -> None:
        """Begin to keep. known: what need not be written, because it is what the start made of the
        files; None: what plays now was asked for and is kept at once."""
        self._loop = asyncio.get_running_loop()
        self._offered = self._on_disk = known
        self._session.report(StoreState(str(self._files.newest)))
        self._end_events = self._session.subscribe(self._hear)
        self._thread.start()
        if known is None:
            self._tell(saved=False)
            self._look_soon()

    def note_again(self) -> None:
        """What stands beside the state is to be written anew, though the state itself is as it was.
        The event loop's thread."""
        with self._wake:
            self._behind = self._note()
            self._wake.notify()

    async def stop(self) -> None:
        """Write what was not written yet, and end."""
        self._end_events()
        if self._timer is not None:
            self._timer.cancel()
        if not self._thread.is_alive():
            return
        self._look()
        if self._timer is not None:
            self._timer.cancel()
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join, STOP_LIMIT_S)

    # --- the loop -------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        if isinstance(event, Change):
            if event.path != "jack":  # of which the links alone are kept
                self._tell(saved=False)
            self._look_soon()

    def _look_soon(self) -> None:
        if self._timer is None:
            assert self._loop is not None
            quiet_s = self._loop.time() - self._looked_s
            self._gap_s = FIRST_GAP_S if quiet_s > 2 * GAP_S else min(2 * self._gap_s, GAP_S)
            wait_s = max(0.0, self._gap_s - quiet_s)
            self._timer = self._loop.call_later(wait_s, self._look)

    def _look(self) -> None:
        assert self._loop is not None
        self._timer = None
        if self._session.is_moving:
            self._timer = self._loop.call_later(MOVE_S, self._look)
            return
        self._looked_s = self._loop.time()
        kept = self._session.kept()
        if kept is None or kept == self._offered:
            self._tell(saved=kept is None or kept == self._on_disk)
            return
        self._offered = kept
        with self._wake:
            self._pending, self._behind = kept, self._note()
            self._wake.notify()

    def _written(self, kept: Kept, error: str) -> None:
        if error and error != self._error:
            text = (
                f"{self._files.newest}: what plays cannot be kept ({error}); the old state stays."
            )
            log.warning(text, extra=code("STATE-WRITE"))
            self._error = error
            self._session.report(StoreState(str(self._files.newest), False, text))
        elif not error:
            if self._error:
                log.info("%s: what plays is kept again.", self._files.newest)
            self._error = ""
            self._on_disk = kept
            self._tell(saved=kept is self._offered and self._timer is None)

    def _tell(self, saved: bool) -> None:
        if not self._error:
            self._session.report(StoreState(str(self._files.newest), saved))

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        failed: Kept | None = None
        while True:
            with self._wake:
                self._wake.wait_for(
                    lambda: self._pending is not None or self._behind or self._stopping,
                    RETRY_S if failed is not None else None,
                )
                kept, self._pending = self._pending or failed, None
                behind, self._behind = self._behind, None
                last = self._stopping
            if kept is not None:
                error = self._write(kept)
                failed = kept if error else None
                self._report(kept, error)
            if behind is not None and failed is None:
                behind()
            if last:
                return

    def _write(self, kept: Kept) -> str:
        try:
            self._files.write(kept)
        except OSError as error:
            return error.strerror or str(error)
        except Exception as error:
            # A bug here must not be the end of all keeping.
            log.exception("the keeper stumbled", extra=code("INTERNAL"))
            return f"an internal error, {error}"
        return ""

    def _report(self, kept: Kept, error: str) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop did not wait for a disk that hung, and is closed
            self._loop.call_soon_threadsafe(self._written, kept, error)
