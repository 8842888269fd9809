"""The engine's control thread, as far as the loop can be one: who calls it, and who waits for it.

Everything here belongs to the event loop.  `lock` lets one engine call in at a time, as the engine
asks of its control thread.  Calls that only push a message run in the loop; calls that work (build,
offline blocks) run in a worker thread with the GIL released while the loop goes on.

A command returns when the audio thread reports it (a Fact, observer.py).  While no host drives the
engine, the driver drives it with silence, so commands take effect all the same.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from ampd.codes import code
from ampd.errors import EngineError
from ampd.observer import Key, Observer, Report
from ampd.rack import Engine
from ampd.state import Levels, levels, tuned

log = logging.getLogger(__name__)
T = TypeVar("T")

ANSWER_LIMIT_S = 2.0
LOAD_PERIOD_S = 1.0
TUNER_PERIOD_S = 0.05
PUMP_FRAMES = 64
PUMP_BLOCKS = 8  # a hop to the worker thread costs more than these blocks
PUMP_ROUNDS = 2000


class Driver:
    """One engine at a time and everything that waits for it. Methods: the event loop's thread.

    heard: called after reports were taken, with the lock held.
    """

    def __init__(self, observer: Observer, threaded: bool, heard: Callable[[], None]) -> None:
        self.lock = asyncio.Lock()
        self.host_active = False
        self._observer = observer
        self._threaded = threaded
        self._heard = heard
        self._engine: Engine | None = None
        self._owed: dict[str, Callable[[Engine], object]] = {}
        self._pump_wanted = asyncio.Event()
        self._facts_wait = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def engine(self) -> Engine:
        """The engine as it is now."""
        assert self._engine is not None, "open() comes first"
        return self._engine

    def runs_at(self, sample_rate_hz: int) -> bool:
        """Whether there is an engine of this rate."""
        return self._engine is not None and self._engine.sample_rate_hz == sample_rate_hz

    async def open(self, sample_rate_hz: int, running: Engine | None = None) -> None:
        """Put a new engine in place of the old one, which no host drives; or one that runs already.
        The lock is held."""
        engine = running
        if engine is None:
            engine = await in_thread(lambda: Engine(sample_rate_hz, self._threaded))
        engine.facts()  # what one that runs has told so far was asked by nobody here
        self._unwatch()
        self._engine = engine
        self._owed.clear()
        if engine.facts_fd() >= 0:
            asyncio.get_running_loop().add_reader(engine.facts_fd(), self._facts_ready)

    def levels(self) -> Levels:
        """How loud it was since the last call."""
        heard = self.engine.levels()
        return levels(*((h.peak, h.rms) for h in (heard.input, heard.left, heard.right)))

    def start(self) -> None:
        """Begin to drive and to listen."""
        self._tasks = [
            asyncio.create_task(self._pump(), name="pump"),
            asyncio.create_task(self._watch_facts(), name="facts"),
            asyncio.create_task(self._watch_load(), name="load"),
            asyncio.create_task(self._watch_tuner(), name="tuner"),
        ]
        for task in self._tasks:
            task.add_done_callback(_report_death)

    async def stop(self) -> None:
        """End the tasks. The host must have let go of the engine before."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._unwatch()

    def wake(self) -> None:
        """Something waits for the engine: drive it if nobody else does."""
        self._pump_wanted.set()

    def tell(self, what: str, send: Callable[[Engine], object]) -> None:
        """Send what no report answers; the lock is held. While `send` returns false, as a full
        queue does, it is tried again, unless a newer `what` has taken its place."""
        self._owed[what] = send
        self._pay()
        self.wake()

    def _pay(self) -> None:
        self._owed = {what: send for what, send in self._owed.items() if not send(self.engine)}

    async def ask(
        self, key: Key, send: Callable[[Engine], int], asked_frame: int | None = None
    ) -> Report:
        """Send one command and wait for the report that answers it. Raises EngineError."""
        async with self.lock:
            self._drain()  # the answer must find room
            command_id = send(self.engine)
            if command_id == 0:
                self.wake()
                raise EngineError(
                    "The engine's queue is full; it takes nothing more until it runs."
                )
            future = self._observer.expect(command_id, key, asked_frame)
        self.wake()
        try:
            # Not wait_for: Python 3.11's loses a cancellation that meets the answer.
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await future
        except TimeoutError:
            raise EngineError(
                f"The engine did not answer within {ANSWER_LIMIT_S:g} s; ampd status shows "
                f"whether JACK still runs."
            ) from None
        finally:
            self._observer.forget(command_id)

    async def settle(self) -> None:
        """Wait until what is wanted is heard, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await self._observer.settled.wait()

    def _drain(self) -> None:
        self._observer.take(self.engine.facts())
        self._pay()
        self._heard()

    async def _pump(self) -> None:
        """Drive the engine with silence while nobody else does and something waits for it."""
        while True:
            await self._pump_wanted.wait()
            self._pump_wanted.clear()
            for n in range(PUMP_ROUNDS):
                async with self.lock:
                    # The first round is for commands that nobody waits for: the queue must empty.
                    if self.host_active or not (n == 0 or self._owed or self._observer.waits):
                        break
                    await in_thread(self._pump_once)
                    self._drain()
                # The engine's own warm thread needs real time for its part.
                await asyncio.sleep(0.001 if self._threaded else 0)

    def _pump_once(self) -> None:
        self.engine.play_silence(PUMP_FRAMES * PUMP_BLOCKS)
        if not self._threaded:
            self.engine.service()

    async def _watch_facts(self) -> None:
        while True:
            await self._facts_wait.wait()
            self._facts_wait.clear()
            async with self.lock:
                self._drain()

    async def _watch_load(self) -> None:
        while True:
            await asyncio.sleep(LOAD_PERIOD_S)
            if not self.host_active:
                continue
            async with self.lock:
                self._pay()
                load = self.engine.load()
            if load.whole.callbacks:
                shares = [(s.p50, s.p99, s.maximum) for s in (load.whole, *load.blocks)]
                self._observer.take_load(load.slot, shares[0], shares[1:])

    async def _watch_tuner(self) -> None:
        """While the tuner is on, tell what it hears."""
        while True:
            await asyncio.sleep(TUNER_PERIOD_S)
            told = self._observer.state.globals
            if not told.get("tuner"):
                continue
            reference_hz = float(told["tuner_reference_hz"])
            pitch = await asyncio.to_thread(self.engine.pitch, reference_hz)
            self._observer.emit(tuned(pitch.hz, pitch.note, pitch.cents))

    def _facts_ready(self) -> None:
        with suppress(BlockingIOError):
            os.read(self.engine.facts_fd(), 8)
        self._facts_wait.set()

    def _unwatch(self) -> None:
        if self._engine is not None and self._engine.facts_fd() >= 0:
            asyncio.get_running_loop().remove_reader(self._engine.facts_fd())


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical(
            "The daemon's task %s died.",
            task.get_name(),
            exc_info=task.exception(),
            extra=code("INTERNAL"),
        )


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a worker thread and, if cancelled, still wait for its end: the engine may
    not be called by two threads, so its lock must be held until the first is out."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, or asyncio says that nobody did
        raise
