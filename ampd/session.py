"""THE BUS: commands in, engine calls, State out.

Everything here belongs to the event loop.  driver.py holds the engine and waits for the audio
thread's answers, stock.py builds the rigs, observer.py keeps the State.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from ampd.bank import Bank, Built, Plan, plan_model
from ampd.codes import code
from ampd.command import (
    ChooseFile,
    EngineCommand,
    Panic,
    SelectRig,
    SelectSet,
    SetGlobal,
    SetParam,
    StepRig,
    StepSet,
    StepSnapshot,
    Tap,
    Value,
)
from ampd.driver import Driver
from ampd.edit import as_heard, with_file
from ampd.errors import AmpdError, CommandError, EngineError
from ampd.finder import Finder, Result
from ampd.headstart import Headstart
from ampd.kept import Kept, to_keep
from ampd.library import Library, nearest
from ampd.observer import GLOBAL_SLOT, SELECT, Observer, Wish
from ampd.places import boot_id
from ampd.rack import GLOBALS, SLOT_COUNT, Engine, knob
from ampd.rig import Rig
from ampd.sets import ALL_RIGS_BANK
from ampd.state import (
    Change,
    Event,
    JackState,
    Levels,
    State,
    StoreState,
    WiringState,
)
from ampd.stock import Settings, Stock

log = logging.getLogger(__name__)

DEFAULT_RATE_HZ = 48000
LEARN_LIMIT_S = 60.0
DRY = "dry"  # the built-in empty rig, for when nothing else can be built


class Session:
    """One engine, its bank of rigs and the State. All methods: the event loop's thread.

    threaded False: the engine has no thread of its own and is driven by the session alone, which
    makes everything deterministic (tests).
    """

    def __init__(
        self,
        library: Library,
        settings: Settings | None = None,
        threaded: bool = True,
        finder: Finder | None = None,
    ) -> None:
        settings = settings or Settings()
        self._finder = finder
        self._bank = Bank(SLOT_COUNT)
        self._observer = Observer(self._bank, {param.path: knob(param) for param in GLOBALS})
        self._driver = Driver(self._observer, threaded, self._hear_wishes)
        self._stock = Stock(library, settings, self._bank, self._observer, self._driver)
        self._errands: set[asyncio.Task[None]] = set()
        self._learner: asyncio.Future[tuple[int, int, int]] | None = None
        self._filing = asyncio.Lock()  # one look at the disk at a time
        self.boot = boot_id()
        self._moves = 0
        self._started_s = time.monotonic()

    # --- life -----------------------------------------------------------------------------------

    async def start(
        self, sample_rate_hz: int = DEFAULT_RATE_HZ, headstart: Headstart | None = None
    ) -> None:
        """Make the engine, or take over the one that plays already, and read the bank's rig files.
        Nothing is built yet."""
        await self._stock.read_map()
        running = headstart.engine if headstart is not None else None
        if headstart is not None and running is not None:
            headstart.is_taken = self._driver.host_active = True
            self._stock.ready, sample_rate_hz = headstart, running.sample_rate_hz
            self._bank.begin_scratch(headstart.slot)
        await self._open_engine(sample_rate_hz, running)
        await self._stock.read("")
        await self._stock.show()
        self._driver.start()

    async def stop(self) -> None:
        """End the session's tasks. The host must have let go of the engine before."""
        for task in self._errands:
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        await self._stock.stop()
        await self._driver.stop()

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
                case SelectSet(name):
                    return await self._select_set(name)
                case StepSet(step):
                    return await self._step_set(step)
                case _:
                    return await self._turn(command)
        except AmpdError as error:
            if not isinstance(error, CommandError):
                self._observer.update(last_error=str(error))
            raise

    async def _turn(self, command: EngineCommand) -> Value:
        match command:
            case SetParam(path, value):
                return await self._set_param(path, value)
            case StepSnapshot(step):
                return await self._step_snapshot(step)
            case SetGlobal(path, value):
                return await self._ask_global(
                    path, lambda engine, index: engine.set_global(index, float(value))
                )
            case ChooseFile(path, name):
                return await self._choose_file(path, name)
            case Tap():
                return await self._ask_global("tempo_bpm", lambda engine, _: engine.tap())
            case Panic():
                return await self._ask_global("bypass", lambda engine, _: engine.panic())
        raise CommandError(f"{command!r} is no command of the engine.")

    async def play_model(self, path: Path) -> str:
        """Play the model file `path` as a rig of one amp, outside the bank. Raises AmpdError."""
        return await self._play_outside(await asyncio.to_thread(plan_model, path))

    async def play_dry(self) -> str:
        """Play the built-in empty rig: what goes in comes out."""
        return await self._play_outside(Plan(Rig(DRY), {}, ()))

    async def store(self, file_name: str, data: bytes) -> str:
        """Examine a model or cab and put it into the library; returns its name there. Raises
        AmpdError."""
        name = await self._stock.store(file_name, data)
        if self._finder is not None:
            self._finder.refresh()
        return name

    async def save_rig(self, name: str) -> str:
        """Keep what plays, as it is turned now, as the file of a new rig; returns its name.
        Raises AmpdError."""
        built = self._bank.get(self._observer.wanted_slot)
        if built is None:
            raise CommandError("Nothing plays that could be saved.")
        defaults = {path: knob.default for path, knob in built.knobs.items()}
        rig = as_heard(built.plan.rig, self.state.values, defaults, name)
        await self._stock.save(rig)
        await self.files_changed()
        return name

    # --- what outlives the daemon (called for the keeper and at the start) ----------------------

    @property
    def is_moving(self) -> bool:
        """Whether rig and values are on their way: what is seen is half of them."""
        return self._moves > 0

    @contextmanager
    def moving(self) -> Iterator[None]:
        """While rig and values are put into an engine, step by step."""
        self._moves += 1
        try:
            yield
        finally:
            self._moves -= 1

    @property
    def playing(self) -> tuple[int, Built | None]:
        """The slot that is wanted, and what lies there."""
        slot = self._observer.wanted_slot
        return slot, self._bank.get(slot)

    def kept(self) -> Kept | None:
        """What is to be kept of what plays now; None: nothing."""
        _, built = self.playing
        return to_keep(built, self.state, self.boot) if built is not None else None

    async def plan_chosen(self, name: str, files: Mapping[str, str]) -> Plan:
        """The rig `name` with these files in place of its own. Raises AmpdError."""
        return await self._stock.plan_chosen(name, files)

    async def vet(self, what: str | Plan) -> None:
        """Have the files of a rig vetted. Raises AmpdError where they may not play."""
        await self._stock.vet(await self._stock.plan(what) if isinstance(what, str) else what)

    async def play_as_left(self, what: str | Plan, values: Mapping[str, float]) -> str:
        """Play a rig of the library, or one outside the bank, with these values from its first
        frame on. Raises AmpdError."""
        if isinstance(what, str):
            return await self._select(what, values=values)
        return await self._play_outside(what, values=values)

    # --- learning -------------------------------------------------------------------------------

    async def learn(self, limit_s: float = LEARN_LIMIT_S) -> tuple[int, int, int]:
        """The next controller that moves, and does nothing else: channel 1..16, number, value.

        A later call ends an earlier one. Raises CommandError when none moves within limit_s.
        """
        if self._learner is not None and not self._learner.done():
            self._learner.set_exception(CommandError("learn: another one asked later."))
        learner: asyncio.Future[tuple[int, int, int]] = asyncio.get_running_loop().create_future()
        self._learner = learner
        self._driver.engine.learn(True)
        try:
            async with asyncio.timeout(limit_s):
                return await learner
        except TimeoutError:
            raise CommandError(f"learn: no controller moved within {limit_s:g} s.") from None
        finally:
            if self._learner is learner:
                self._learner = None
                self._driver.engine.learn(False)

    def refresh_controllers(self) -> None:
        """A controller was connected: tell it all values."""
        self._driver.engine.refresh_controllers()

    def fill_bank(self) -> None:
        """Build the bank's rigs in the background, within the memory budget."""
        self._stock.fill()

    async def bank_filled(self) -> None:
        """Wait until the background work of fill_bank is over."""
        await self._stock.filled()

    def value(self, path: str) -> Value:
        """What is asked for at `path` now. Raises CommandError for an unknown path."""
        own = {"rig": self.state.wanted_rig, "jack": self.state.jack.state, "set": self.state.set}
        for values in (own, self.state.globals, self.state.values, self.state.files):
            if path in values:
                return values[path]
        raise CommandError(self._unknown(path))

    def levels(self) -> Levels:
        """How loud it was since the last call: the guitar, and the louder side of the output."""
        return self._driver.levels()

    async def find(self, kind: str, words: str = "", offset: int = 0) -> Result:
        """What lies in the library: kind "model", "cab" or "rig"; words as Index.search takes them;
        a page from `offset` on. Raises CommandError."""
        if self._finder is None:
            raise CommandError("This daemon keeps no index of its library.")
        return await self._finder.find(kind, words, offset)

    # --- the host's side (called for the supervisor) --------------------------------------------

    async def attach_host(self, sample_rate_hz: int) -> Engine:
        """Make ready for a host at this rate, then leave the driving to it.

        Another rate than the engine's means a new engine: rig, values and globals are kept.
        """
        if not self._driver.runs_at(sample_rate_hz):
            with self.moving():
                await self._change_rate(sample_rate_hz)
        async with self._driver.lock:
            self._driver.host_active = True
            return self._driver.engine

    async def detach_host(self) -> None:
        """The host has let go of the engine for good: the session drives it again."""
        async with self._driver.lock:
            self._driver.host_active = False
        self._driver.wake()

    def report(self, seen: JackState | WiringState | StoreState) -> None:
        """Take over what supervisor and keeper see."""
        self._observer.see(seen)

    # --- files that changed (called for the watcher) --------------------------------------------

    async def files_changed(self) -> None:
        """Take over what was edited on disk: rigs, sets, models, impulses, the player's map.

        What cannot be built is told, and the good rig plays on.
        """
        if self._finder is not None:
            self._finder.refresh()
        async with self._filing:
            await self._take_over()

    async def _take_over(self) -> None:
        map_changed = await self._stock.read_map()
        async with self._driver.lock:
            if map_changed:
                self._stock.send_map()
        await self._read_set(self.state.set)
        for slot in self._bank.slots():
            built = self._bank.get(slot)
            if built is None:
                continue
            outdated = await asyncio.to_thread(built.plan.outdated)
            if outdated or map_changed:
                await self._renew(slot, built.plan, outdated)
        self._stock.fill()

    async def _renew(self, slot: int, plan: Plan, outdated: bool) -> None:
        """Build what lies in `slot` anew; where it plays, it fades over to itself."""
        name, path = plan.rig.name, plan.rig.path
        if path is not None and not await asyncio.to_thread(path.exists):
            return
        try:
            async with self._stock.building:
                if outdated and plan.edited:
                    plan = await self._stock.plan_edited(plan.rig)
                elif outdated and path is not None:
                    plan = await self._stock.plan(name)
                await self._stock.build(slot, plan)
            self._bank.errors.pop(name, None)
            if slot == self._observer.wanted_slot:
                frame = self._driver.engine.frame
                await self._select_slot(slot, True, frame, keep=not outdated, instead_of=slot)
                await self._driver.settle()
        except AmpdError as error:
            self._bank.note_error(name, str(error))
            self._observer.tell_trouble(name, error)
        self._observer.update(rigs=self._bank.entries())

    # --- switching ------------------------------------------------------------------------------

    async def _select(
        self, name: str, keep: bool = False, values: Mapping[str, float] | None = None
    ) -> str:
        asked_frame = self._driver.engine.frame
        slot, fresh = await self._stock.prepare(name)
        return await self._select_slot(slot, fresh, asked_frame, keep, values)

    async def _select_slot(
        self,
        slot: int,
        fresh: bool,
        asked_frame: int,
        keep: bool = False,
        values: Mapping[str, float] | None = None,
        instead_of: int = -1,
    ) -> str:
        """keep: the slot holds the rig that plays, built anew, and what the player turned there
        holds from its first audible frame on; or these values do.
        instead_of: nothing happens where another slot is wanted by then, as a foot may be faster.
        """
        turned: list[tuple[int, float]] = []

        def send(engine: Engine) -> int:
            command_id = engine.select(slot, fresh, instead_of)
            if (built := self._bank.get(slot)) is not None and (keep or values):
                turned.extend(built.turned(values or self.state.values))
            sent = [engine.set_param(slot, index, value) for index, value in turned]
            return command_id if all(sent) else 0

        with self.moving() if keep or values else nullcontext():
            fact = await self._driver.ask(SELECT, send, asked_frame=asked_frame)
            for index, value in turned[-1:]:  # its answer comes behind all the others
                with suppress(EngineError):
                    await self._driver.ask((slot, index), _param_call(slot, index, value))
        if fact.kind == "refused" and instead_of < 0:
            raise EngineError(f"The engine refused slot {slot}: no rig lies there; ask again.")
        return self._bank.name_of(fact.slot)

    async def _step(self, step: int) -> str:
        """The next rig that can be built: a broken file must not hold up the player's foot."""
        names = [entry.name for entry in self.state.rigs if entry.program is not None]
        if not names:
            raise EngineError("There is no rig to step to; put a file into the folder of rigs.")
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

    async def _play_outside(
        self,
        plan: Plan,
        keep: bool = False,
        values: Mapping[str, float] | None = None,
        instead_of: int = -1,
    ) -> str:
        slot = self._bank.scratch(self._observer.busy_slots)
        asked_frame = self._driver.engine.frame
        async with self._stock.building:
            await self._stock.build(slot, plan)
        return await self._select_slot(slot, False, asked_frame, keep, values, instead_of)

    # --- sets -----------------------------------------------------------------------------------

    async def _select_set(self, name: str) -> str:
        """Put the set's rigs under the foot; what plays plays on, in a slot of its own."""
        if name != self.state.set:
            await self._read_set(name)
            self._stock.fill()
        return name

    async def _read_set(self, name: str) -> None:
        before = self.state.set
        await self._stock.read(name)
        if self.state.set != before:
            self._observer.emit(Change("set", self.state.set))
        await self._make_room()
        await self._stock.show()

    async def _step_set(self, step: int) -> str:
        names = list(self.state.sets)
        here = names.index(self.state.set) if self.state.set in names else 0
        return await self._select_set(names[(here + step) % len(names)])

    async def _make_room(self) -> None:
        """Clear the slots whose program is another rig's now; what plays there moves out first."""
        wanted = self._observer.wanted_slot
        if wanted in self._bank.misplaced():
            built = self._bank.get(wanted)
            assert built is not None
            try:
                await self._play_outside(built.plan, keep=True, instead_of=wanted)
                await self._driver.settle()
            except AmpdError as error:  # its files are gone: it plays on where it is
                self._observer.tell_trouble(built.plan.rig.name, error)
        busy = self._observer.busy_slots
        await self._stock.give_back([slot for slot in self._bank.misplaced() if slot not in busy])

    # --- values ---------------------------------------------------------------------------------

    async def _set_param(self, path: str, value: float) -> float:
        for _ in range(2):
            slot = self._observer.wanted_slot
            built = self._bank.get(slot)
            if built is None or path not in built.index:
                raise CommandError(self._unknown(path))
            index = built.index[path]
            fact = await self._driver.ask((slot, index), _param_call(slot, index, value))
            if fact.kind == "changed":
                return fact.value
            # A foot switch came between: the same knob of the rig that plays now is meant.
            await self._driver.settle()
        raise EngineError(f"{path}: the rig changed while the value was set; send it again.")

    async def _choose_file(self, path: str, name: str) -> str:
        """The rig with another file, in a slot of its own: the rig as it is on disk stays ready."""
        built = self._bank.get(self._observer.wanted_slot)
        if built is None:
            raise CommandError(self._unknown(path))
        rig = with_file(built.plan.rig, path, name)
        await self._play_outside(await self._stock.plan_edited(rig), keep=True)
        return name

    async def _step_snapshot(self, step: int) -> float:
        count = len(self.state.snapshots)
        if count == 0:
            raise CommandError(self._unknown("snapshot"))
        here = round(self.state.values["snapshot"])
        place = (max(here, 1) - 1 + step) % count if here or step < 0 else 0
        return await self._set_param("snapshot", place + 1)

    async def _ask_global(self, path: str, send: Callable[[Engine, int], int]) -> Value:
        index = [param.path for param in GLOBALS].index(path)
        await self._driver.ask((GLOBAL_SLOT, index), lambda engine: send(engine, index))
        return self.state.globals[path]

    def _unknown(self, path: str) -> str:
        known = ["rig", "set", *self.state.globals, *self.state.values, *self.state.files]
        rig = self.state.wanted_rig or "that plays"
        return f"{path}: rig {rig} has no such address; {nearest(path, known)}."

    # --- what feet ask for ----------------------------------------------------------------------

    def _hear_wishes(self) -> None:
        """What the audio thread cannot do alone. The driver's lock is held."""
        while self._observer.wishes:
            wish = self._observer.wishes.pop(0)
            if wish.kind == "controller":
                channel, control = divmod(wish.number, 128)
                if self._learner is not None and not self._learner.done():
                    self._learner.set_result((channel + 1, control, round(wish.value)))
                continue
            task = asyncio.create_task(self._grant(wish), name=f"foot {wish.kind}")
            self._errands.add(task)
            task.add_done_callback(self._errands.discard)

    async def _grant(self, wish: Wish) -> None:
        name = ""
        try:
            match wish.kind:
                case "slot":
                    name = self._bank.program_name(wish.number)
                    await self._fetch(name, wish.turn)
                case "program":
                    name = await self._enter_bank(*divmod(wish.number, 128))
                case "action":
                    await self._step_set(round(wish.value))
        except AmpdError as error:
            self._observer.tell_trouble(name, error)

    async def _fetch(self, name: str, turn: int) -> None:
        """Build the rig that a foot asked for, and switch to it unless the foot has gone on."""
        if name:
            asked_frame = self._driver.engine.frame
            slot, fresh = await self._stock.prepare(name)
            if self._observer.turns == turn:
                wanted = self._observer.wanted_slot
                await self._select_slot(slot, fresh, asked_frame, instead_of=wanted)

    async def _enter_bank(self, bank: int, program: int) -> str:
        """A program change came behind the select of another bank."""
        chosen = next((each for each in self._stock.sets if each.bank == bank), None)
        if chosen is None and bank != ALL_RIGS_BANK:
            banks = ", ".join(f"{each.bank} {each.name}" for each in self._stock.sets) or "none"
            raise CommandError(f"MIDI bank {bank}: there is no such set; the sets are {banks}.")
        await self._select_set(chosen.name if chosen is not None else "")
        name = self._bank.program_name(program)
        if not name:
            raise CommandError(f"MIDI bank {bank} has no rig at program {program}.")
        await self._select(name)
        return name

    # --- the engine -----------------------------------------------------------------------------

    async def _open_engine(self, sample_rate_hz: int, running: Engine | None = None) -> None:
        """Put a new engine in place of the old one, which no host drives; or one that runs."""
        async with self._driver.lock:
            await self._driver.open(sample_rate_hz, running)
            self._bank.clear()
            self._observer.reset(sample_rate_hz, self._driver.engine.isa)
            self._driver.engine.learn(self._learner is not None)
            self._stock.send_map()

    async def _change_rate(self, sample_rate_hz: int) -> None:
        filled = await self._stock.stop()
        playing = self._bank.get(self._observer.wanted_slot)
        before = self.state
        async with self._stock.building:
            await self._open_engine(sample_rate_hz)
        if before.wanted_rig:
            try:
                if playing is not None and self._bank.is_outside(playing):
                    await self._play_outside(playing.plan, keep=True)
                else:
                    await self._select(before.wanted_rig, keep=True)
                await self._driver.settle()
                for path, value in before.globals.items():
                    if self.state.globals.get(path) != value:
                        await self._turn(SetGlobal(path, value))
            except AmpdError as error:
                log.warning("%s The daemon plays dry instead.", error, extra=code("RIG-DRY"))
                await self.play_dry()
                self._observer.update(last_error=str(error))
        if filled:
            self._stock.fill()


def _param_call(slot: int, index: int, value: float) -> Callable[[Engine], int]:
    return lambda engine: engine.set_param(slot, index, value)
