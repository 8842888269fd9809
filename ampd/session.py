"""THE BUS: commands in, engine calls, State out.  The only importer of the compiled engine.

Everything here belongs to the event loop.  Two asyncio locks keep order:

- `_engine_lock`: one engine call at a time, as the engine asks of its control thread.  Calls that
  only push a message run in the loop; calls that work (build, offline blocks) run in a worker
  thread with the GIL released while the loop goes on.
- `_build_lock`: one rig is read and built at a time.

A command returns when the audio thread reports it (a Fact, observer.py).  While no
host drives the engine, the session drives it with silence, so commands take effect all the same.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ampd._engine import (
    GLOBALS,
    SLOT_COUNT,
    BlockSpec,
    Engine,
    JackError,
    JackHost,
    LoadError,
    ModelInfo,
    PortInfo,
    inspect_model,
    isas,
    measure_cost,
    render_model,
)
from ampd.bank import Bank, Built, Plan, plan_model, plan_rig
from ampd.command import EngineCommand, SelectRig, SetGlobal, SetParam, StepRig, Value
from ampd.errors import AmpdError, CommandError, EngineError, RigError
from ampd.library import Library, nearest
from ampd.observer import GLOBAL_SLOT, HALF, SELECT, Key, Observer, Report
from ampd.rig import Rig
from ampd.state import Change, Event, Faulted, JackState, State

__all__ = [  # the compiled names are handed on to those that may not import the module themselves
    "DEFAULT_RATE_HZ",
    "BlockSpec",
    "Engine",
    "JackError",
    "JackHost",
    "LoadError",
    "ModelInfo",
    "PortInfo",
    "Session",
    "build",
    "inspect_model",
    "isas",
    "measure_cost",
    "render_model",
]

log = logging.getLogger(__name__)
T = TypeVar("T")

DEFAULT_RATE_HZ = 48000
ANSWER_LIMIT_S = 2.0
LOAD_PERIOD_S = 1.0
PUMP_FRAMES = 64
PUMP_BLOCKS = 8  # a hop to the worker thread costs more than these blocks
PUMP_ROUNDS = 2000
DRY = "dry"  # the built-in empty rig, for when nothing else can be built


def build(engine: Engine, slot: int, plan: Plan) -> Built:
    """Build the plan's chain and park it in `slot`; raises RigError, and nothing has changed then.

    Control thread of the engine; blocks while it builds.
    """
    rig = plan.rig
    models = {name: str(path) for name, path in plan.models.items()}
    specs = [
        BlockSpec(
            block.kind,
            block.name,
            dict(block.values),
            models.get(block.model, ""),
            [(at, models[model]) for at, model in block.family.items()],
        )
        for block in rig.blocks
    ]
    try:
        info = engine.install(slot, dict(rig.values), specs)
    except LoadError as error:
        raise RigError(f"{rig.path or rig.name}: {error}") from error
    return Built(
        plan=plan,
        values={param.path: info.values[n] for n, param in enumerate(info.params)},
        index={param.path: n for n, param in enumerate(info.params)},
        memory_bytes=info.memory_bytes,
        latency_frames=info.latency_frames,
        warnings=tuple(f"{model.path}: {text}" for model in info.models for text in model.warnings),
    )


class Session:
    """One engine, its bank of rigs and the State. All methods: the event loop's thread.

    threaded False: the engine has no thread of its own and is driven by the session alone, which
    makes everything deterministic (tests).
    """

    def __init__(self, library: Library, memory_mb: int = 512, threaded: bool = True) -> None:
        self._library = library
        self._budget_bytes = memory_mb * 1024 * 1024
        self._threaded = threaded
        self._bank = Bank(SLOT_COUNT)
        self._observer = Observer(self._bank, [param.path for param in GLOBALS])
        self._engine: Engine | None = None
        self._engine_lock = asyncio.Lock()
        self._build_lock = asyncio.Lock()
        self._host_active = False
        self._pump_wanted = asyncio.Event()
        self._pump_signal = np.zeros(PUMP_FRAMES * PUMP_BLOCKS, np.float32)
        self._facts_wait = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._bank_task: asyncio.Task[None] | None = None
        self._fetches: set[asyncio.Task[None]] = set()
        self._started_s = time.monotonic()

    # --- life -----------------------------------------------------------------------------------

    async def start(self, sample_rate_hz: int = DEFAULT_RATE_HZ) -> None:
        """Make the engine and read the bank's rig files. Nothing is built yet."""
        await self._open_engine(sample_rate_hz)
        await self._read_bank()
        self._tasks = [
            asyncio.create_task(self._pump(), name="pump"),
            asyncio.create_task(self._watch_facts(), name="facts"),
            asyncio.create_task(self._watch_load(), name="load"),
        ]
        for task in self._tasks:
            task.add_done_callback(_report_death)

    async def stop(self) -> None:
        """End the session's tasks. The host must have let go of the engine before."""
        tasks = [*self._tasks, *self._fetches, *([self._bank_task] if self._bank_task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._unwatch()

    @property
    def state(self) -> State:
        """The newest State; it never changes, a newer one takes its place."""
        return self._observer.state

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` in the loop for every event; returns what ends that."""
        return self._observer.subscribe(callback)

    def snapshot(self) -> State:
        """The state with the uptime of now."""
        return replace(self.state, uptime_s=round(time.monotonic() - self._started_s, 1))

    # --- commands -------------------------------------------------------------------------------

    async def execute(self, command: EngineCommand) -> Value:
        """Do it, wait for the audio thread's Fact, return the value as accepted.

        Raises AmpdError in one sentence; what plays goes on then.
        """
        try:
            match command:
                case SelectRig(name):
                    return await self._select(name)
                case StepRig(step):
                    return await self._step(step)
                case SetParam(path, value):
                    return await self._set_param(path, value)
                case SetGlobal(path, value):
                    return await self._set_global(path, value)
        except AmpdError as error:
            if not isinstance(error, CommandError):
                self._observer.update(last_error=str(error))
            raise

    async def play_model(self, path: Path) -> str:
        """Play the model file `path` as a rig of one amp, outside the bank. Raises AmpdError."""
        return await self._play_outside(await asyncio.to_thread(plan_model, path))

    async def play_dry(self) -> str:
        """Play the built-in empty rig: what goes in comes out."""
        return await self._play_outside(Plan(Rig(DRY), {}, ()))

    def fill_bank(self) -> None:
        """Build the bank's rigs in the background, within the memory budget."""
        if self._bank_task is not None:
            self._bank_task.cancel()
        self._bank_task = asyncio.create_task(self._fill_bank(), name="bank")

    async def bank_filled(self) -> None:
        """Wait until the background work of fill_bank is over."""
        if self._bank_task is not None:
            await asyncio.wait([self._bank_task])

    def value(self, path: str) -> Value:
        """What is asked for at `path` now. Raises CommandError for an unknown path."""
        if path == "rig":
            return self.state.wanted_rig
        if path == "jack":
            return self.state.jack.state
        if path in self.state.globals:
            return self.state.globals[path]
        if path in self.state.values:
            return self.state.values[path]
        raise CommandError(self._unknown(path))

    # --- the host's side (called for the supervisor) --------------------------------------------

    async def attach_host(self, sample_rate_hz: int) -> Engine:
        """Make ready for a host at this rate, then leave the driving to it.

        Another rate than the engine's means a new engine: rig, values and globals are kept.
        """
        if self._engine is None or self._engine.sample_rate_hz != sample_rate_hz:
            await self._change_rate(sample_rate_hz)
        async with self._engine_lock:
            self._host_active = True
            return self._live_engine()

    async def detach_host(self) -> None:
        """The host has let go of the engine for good: the session drives it again."""
        async with self._engine_lock:
            self._host_active = False
        self._pump_wanted.set()

    def report_jack(self, jack: JackState) -> None:
        """Take over what the supervisor sees."""
        changed = jack.state != self.state.jack.state
        self._observer.update(jack=jack)
        if changed:
            self._observer.emit(Change("jack", jack.state))

    # --- switching ------------------------------------------------------------------------------

    async def _select(self, name: str) -> str:
        asked_frame = self._live_engine().frame
        slot, fresh = await self._prepare(name)
        return await self._select_slot(slot, fresh, asked_frame)

    async def _select_slot(self, slot: int, fresh: bool, asked_frame: int) -> str:
        fact = await self._ask(
            SELECT, lambda engine: engine.select(slot, fresh), asked_frame=asked_frame
        )
        if fact.kind == "refused":
            raise EngineError(f"The engine refused slot {slot}: no rig lies there; ask again.")
        return self._bank.name_of(fact.slot)

    async def _step(self, step: int) -> str:
        """The next rig that can be built: a broken file must not hold up the player's foot."""
        names = [entry.name for entry in self.state.rigs if entry.program is not None]
        if not names:
            raise EngineError(f"{self._library.rigs_path}: there is no rig to step to.")
        here = self.state.wanted_rig
        place = names.index(here) if here in names else (-1 if step > 0 else 0)
        trouble: AmpdError | None = None
        for distance in range(1, len(names) + 1):
            try:
                return await self._select(names[(place + step * distance) % len(names)])
            except AmpdError as error:
                trouble = error
                self._observer.update(last_error=str(error))
        raise trouble or EngineError("There is no rig to step to.")

    async def _play_outside(self, plan: Plan) -> str:
        slot = self._bank.scratch(self._observer.busy_slots)
        asked_frame = self._live_engine().frame
        async with self._build_lock:
            await self._build(slot, plan)
        return await self._select_slot(slot, False, asked_frame)

    async def _prepare(self, name: str) -> tuple[int, bool]:
        """The slot that holds `name` as it is on disk now, and whether it was built anew."""
        async with self._build_lock:
            slot = self._bank.slot_of(name)
            built = self._bank.get(slot)
            if built is not None and not await asyncio.to_thread(built.plan.outdated):
                return slot, False
            try:
                plan = await asyncio.to_thread(
                    lambda: plan_rig(self._library, self._library.load_rig(name))
                )
                slot = self._bank.claim(plan.rig, self._observer.busy_slots)
                await self._build(slot, plan)
            except AmpdError as error:
                if name in self._bank.programs or name in self._bank.errors:
                    self._bank.errors[name] = str(error)
                self._observer.update(rigs=self._bank.entries())
                raise
            self._bank.errors.pop(name, None)
            await self._keep_budget(slot)
            self._observer.update(rigs=self._bank.entries())
            return slot, True

    async def _build(self, slot: int, plan: Plan) -> None:
        async with self._engine_lock:
            engine = self._live_engine()
            self._bank.put(slot, await _in_thread(lambda: build(engine, slot, plan)))
            engine.set_programs(self._bank.program_slots())

    async def _keep_budget(self, newest: int) -> None:
        """Give back the rigs selected longest ago until the bank fits its memory."""
        async with self._engine_lock:
            keep = {newest, *self._observer.busy_slots}
            for slot in self._bank.surplus(self._budget_bytes, keep):
                self._live_engine().remove(slot)
                self._bank.drop(slot)

    # --- values ---------------------------------------------------------------------------------

    async def _set_param(self, path: str, value: float) -> float:
        for _ in range(2):
            slot = self._observer.wanted_slot
            built = self._bank.get(slot)
            if built is None or path not in built.index:
                raise CommandError(self._unknown(path))
            index = built.index[path]
            fact = await self._ask((slot, index), _param_call(slot, index, value))
            if fact.kind == "changed":
                return fact.value
            # A foot switch came between: the same knob of the rig that plays now is meant.
            await self._settle()
        raise EngineError(f"{path}: the rig changed while the value was set; send it again.")

    async def _set_global(self, path: str, value: bool) -> bool:
        index = [param.path for param in GLOBALS].index(path)
        fact = await self._ask(
            (GLOBAL_SLOT, index),
            lambda engine: engine.set_global(index, float(value)),
        )
        return bool(fact.value)

    async def _settle(self) -> None:
        """Wait until what is wanted is heard, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await self._observer.settled.wait()

    def _unknown(self, path: str) -> str:
        known = ["rig", *self.state.globals, *self.state.values]
        rig = self.state.wanted_rig or "that plays"
        return f"{path}: rig {rig} has no such address; {nearest(path, known)}."

    async def _ask(
        self, key: Key, send: Callable[[Engine], int], asked_frame: int | None = None
    ) -> Report:
        """Send one command and wait for the report that answers it."""
        async with self._engine_lock:
            command_id = send(self._live_engine())
            if command_id == 0:
                raise EngineError(
                    "The engine's queue is full; it takes nothing more until it runs."
                )
            future = self._observer.expect(command_id, key, asked_frame)
        self._pump_wanted.set()
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

    def _drain(self) -> None:
        """Take all facts. The engine lock is held."""
        self._observer.take(self._live_engine().facts())
        while self._observer.missing:
            task = asyncio.create_task(self._fetch(self._observer.missing.pop()), name="fetch")
            self._fetches.add(task)
            task.add_done_callback(self._fetches.discard)

    async def _fetch(self, slot: int) -> None:
        """A foot switch asked for a rig of the bank that is not built: build it now."""
        names = [name for name, program in self._bank.programs.items() if program == slot]
        try:
            for name in names:
                await self._select(name)
        except AmpdError as error:
            log.warning(str(error))
            self._observer.update(last_error=str(error))
            self._observer.emit(Faulted(names[0], str(error)))

    # --- tasks ----------------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Drive the engine with silence while nobody else does and something waits for it."""
        while True:
            await self._pump_wanted.wait()
            self._pump_wanted.clear()
            for _ in range(PUMP_ROUNDS):
                async with self._engine_lock:
                    if self._host_active or not self._observer.waits:
                        break
                    await _in_thread(self._pump_once)
                    self._drain()
                # The engine's own warm thread needs real time for its part.
                await asyncio.sleep(0.001 if self._threaded else 0)

    def _pump_once(self) -> None:
        engine = self._live_engine()
        engine.process(self._pump_signal, PUMP_FRAMES)
        if not self._threaded:
            engine.service()

    async def _watch_facts(self) -> None:
        while True:
            await self._facts_wait.wait()
            self._facts_wait.clear()
            async with self._engine_lock:
                self._drain()

    async def _watch_load(self) -> None:
        while True:
            await asyncio.sleep(LOAD_PERIOD_S)
            if not self._host_active:
                continue
            async with self._engine_lock:
                load = self._live_engine().load()
            if load.blocks:
                seen = replace(self.state.load, p50=load.p50, p99=load.p99, maximum=load.maximum)
                self._observer.update(load=seen)

    async def _read_bank(self) -> None:
        rigs, errors = await asyncio.to_thread(self._library.load_rigs)
        for text in [*self._bank.adopt(rigs, errors), *errors.values()]:
            log.warning(text)
        self._observer.update(rigs=self._bank.entries())

    async def _fill_bank(self) -> None:
        for name in self._bank.unbuilt():
            if self._bank.used_bytes() >= self._budget_bytes:
                log.warning(
                    "The bank's memory is used up: rig %s and those after it are built when they "
                    "are asked for; raise [bank] memory_mb to switch to them at once.",
                    name,
                )
                return
            try:
                await self._prepare(name)
            except AmpdError as error:
                log.warning(str(error))

    # --- the engine -----------------------------------------------------------------------------

    def _live_engine(self) -> Engine:
        assert self._engine is not None, "start() comes first"
        return self._engine

    async def _open_engine(self, sample_rate_hz: int) -> None:
        """Put a new engine in place of the old one. No host drives it."""
        async with self._engine_lock:
            engine = await _in_thread(lambda: Engine(sample_rate_hz, self._threaded))
            self._unwatch()
            self._engine = engine
            self._bank.clear()
            on = [param.default >= HALF for param in GLOBALS]
            self._observer.reset(sample_rate_hz, engine.isa, on)
            if engine.facts_fd() >= 0:
                asyncio.get_running_loop().add_reader(engine.facts_fd(), self._facts_ready)

    def _facts_ready(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._live_engine().facts_fd(), 8)
        self._facts_wait.set()

    def _unwatch(self) -> None:
        if self._engine is not None and self._engine.facts_fd() >= 0:
            asyncio.get_running_loop().remove_reader(self._engine.facts_fd())

    async def _change_rate(self, sample_rate_hz: int) -> None:
        if self._bank_task is not None:
            self._bank_task.cancel()
            await asyncio.wait([self._bank_task])
        playing = self._bank.get(self._observer.wanted_slot)
        before = self.state
        async with self._build_lock:
            await self._open_engine(sample_rate_hz)
        if before.wanted_rig:
            try:
                if playing is not None and before.wanted_rig not in self._bank.programs:
                    await self._play_outside(playing.plan)
                else:
                    await self._select(before.wanted_rig)
                await self._restore(before)
            except AmpdError as error:
                log.warning("%s The daemon plays dry instead.", error)
                await self.play_dry()
                self._observer.update(last_error=str(error))
        if self._bank_task is not None:
            self.fill_bank()

    async def _restore(self, before: State) -> None:
        await self._settle()
        for path, value in before.values.items():
            if self.state.values.get(path) not in (None, value):
                await self._set_param(path, value)
        for path, on in before.globals.items():
            if self.state.globals.get(path) != on:
                await self._set_global(path, on)


def _param_call(slot: int, index: int, value: float) -> Callable[[Engine], int]:
    return lambda engine: engine.set_param(slot, index, value)


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("The session's task %s died.", task.get_name(), exc_info=task.exception())


async def _in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a worker thread and, if cancelled, still wait for its end: the engine may
    not be called by two threads, so its lock must be held until the first is out."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
