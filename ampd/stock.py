"""What lies ready: the rigs of the set, read from disk and built into the engine's slots.

Everything belongs to the event loop; building happens in a worker thread.  `building` lets one rig
at a time be read and built.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ampd.bank import Bank, Plan, plan_named, plan_rig
from ampd.codes import code
from ampd.config import MidiConfig
from ampd.driver import Driver, in_thread
from ampd.edit import with_file, write_new
from ampd.errors import AmpdError, CommandError, ConfigError
from ampd.headstart import Headstart
from ampd.library import Library, nearest
from ampd.midi import Binding
from ampd.midi_file import read_map
from ampd.observer import Observer
from ampd.profiles import compile as compile_map
from ampd.rack import Setup, build, to_specs
from ampd.rehearsal import Levels, levelled
from ampd.rig import Rig
from ampd.sets import ALL_RIGS_BANK, RigSet
from ampd.vetting import Vetting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a session is told besides its library."""

    memory_mb: int = 512
    midi: MidiConfig = field(default_factory=MidiConfig)
    levels: Levels = field(default_factory=Levels)
    vetting: Vetting | None = None  # None: whatever can be loaded plays


class Stock:
    """The slots of the engine, filled. Methods: the event loop's thread."""

    def __init__(
        self, library: Library, settings: Settings, bank: Bank, observer: Observer, driver: Driver
    ) -> None:
        self.building = asyncio.Lock()
        self.sets: list[RigSet] = []  # in bank order
        self.ready: Headstart | None = None  # whose chain plays, until it is in the bank
        self._library = library
        self._settings = settings
        self._bank = bank
        self._observer = observer
        self._driver = driver
        self._own_map: tuple[Binding, ...] = ()
        self._bank_number = ALL_RIGS_BANK
        self._filling: asyncio.Task[None] | None = None

    # --- the player's map -----------------------------------------------------------------------

    async def read_map(self) -> bool:
        """Read the player's own bindings, a bad file leaves those in force; whether they changed
        since."""
        before = self._own_map
        try:
            self._own_map = await asyncio.to_thread(read_map, self._settings.midi.map)
        except ConfigError as error:
            log.warning(str(error), extra=code("MIDI-MAP"))
            self._observer.update(last_error=str(error))
        return self._own_map != before

    def send_map(self) -> None:
        """Give the engine the bindings of the whole rack. The driver's lock is held."""
        midi = self._settings.midi
        self._driver.engine.set_feedback(midi.feedback)
        specs = to_specs(compile_map(midi.profile, midi.channel, self._own_map))
        self._driver.tell("bindings", lambda engine: engine.set_bindings(specs))

    # --- rigs and sets on disk ------------------------------------------------------------------

    async def read(self, name: str) -> None:
        """Read rigs and sets from disk and give every rig its program in the set `name`.

        A set that is not there any more gives way to all rigs, one whose file was spoilt stays as
        it was; raises CommandError for one that never was.
        """
        (rigs, errors), (sets, complaints), files = await asyncio.to_thread(
            lambda: (
                self._library.load_rigs(),
                self._library.load_sets(),
                self._library.set_names(),
            )
        )
        if name in files and name == self._observer.state.set:
            self._keep_spoilt(name, sets, complaints)
        names = [each.name for each in sets]
        if name and name not in names:
            if name != self._observer.state.set:
                raise CommandError(f"set {name}: {nearest(name, names)}.")
            name = ""
        chosen = next((each for each in sets if each.name == name), None)
        self.sets = sets
        self._bank_number = (chosen.bank if chosen is not None else None) or ALL_RIGS_BANK
        for text in [*self._bank.adopt(rigs, errors, chosen), *errors.values(), *complaints]:
            log.warning(text, extra=code("SET-TROUBLE"))
        self._observer.update(set=name, sets=("", *names))

    def _keep_spoilt(self, name: str, sets: list[RigSet], complaints: Sequence[str]) -> None:
        """Put the set `name` as it was among `sets` where its file cannot be read any more."""
        if name in [each.name for each in sets]:
            return
        sets += [each for each in self.sets if each.name == name]
        sets.sort(key=lambda each: each.bank or ALL_RIGS_BANK)
        text = next((each for each in complaints if f"{name}.yaml" in each), "")
        self._observer.update(last_error=text)

    async def show(self) -> None:
        """Tell the engine and everybody which rig has which program."""
        async with self._driver.lock:
            self._driver.engine.set_programs(self._bank.program_slots(), self._bank_number)
        self._observer.update(rigs=self._bank.entries())

    # --- building -------------------------------------------------------------------------------

    async def prepare(self, name: str) -> tuple[int, bool]:
        """The slot that holds `name` as it is on disk now, and whether it was built anew. Raises
        AmpdError."""
        await self._vet_ahead(name)
        async with self.building:
            slot = self._bank.slot_of(name)
            built = self._bank.get(slot)
            mine = built is not None and built.plan.rig.name == name and not built.plan.edited
            if built and mine and not await asyncio.to_thread(built.plan.outdated):
                return slot, False
            try:
                plan = await self.plan(name)
                slot = self._bank.claim(plan.rig, self._observer.busy_slots)
                fresh = await self.build(slot, plan)
            except AmpdError as error:
                self._bank.note_error(name, str(error))
                self._observer.update(rigs=self._bank.entries())
                raise
            self._bank.errors.pop(name, None)
            keep = {slot, *self._observer.busy_slots}
            await self.give_back(self._bank.surplus(self._budget_bytes, keep))
            self._observer.update(rigs=self._bank.entries())
            return slot, fresh

    async def plan(self, name: str) -> Plan:
        """The rig `name` as it is on disk now. Raises AmpdError."""
        return await asyncio.to_thread(plan_named, self._library, name)

    async def plan_edited(self, rig: Rig) -> Plan:
        """A rig that was changed while it plays. Raises AmpdError."""
        plan = await asyncio.to_thread(plan_rig, self._library, rig)
        return replace(plan, edited=True)

    async def plan_chosen(self, name: str, files: Mapping[str, str]) -> Plan:
        """The rig `name` with these files in place of its own. Raises AmpdError."""
        rig = (await self.plan(name)).rig
        for path, file in files.items():
            rig = with_file(rig, path, file) if rig.files.get(path) != file else rig
        return await self.plan_edited(rig)

    async def save(self, rig: Rig) -> Path:
        """Write a new file of the library. Raises AmpdError, also where there is one already."""
        return await asyncio.to_thread(write_new, self._library.rigs_path, rig)

    async def store(self, file_name: str, data: bytes) -> str:
        """Put a model or a cab into the library. Raises AmpdError."""
        from ampd.upload import store  # noqa: PLC0415 (numpy is half of all memory)

        vetting, at = self._settings.vetting, self._rate_and_period
        examine = partial(vetting.examine, at=at) if vetting is not None else None
        return await asyncio.to_thread(store, self._library, file_name, data, examine)

    async def vet(self, plan: Plan) -> None:
        """Have what it plays vetted. Raises RigError where it may not play."""
        if (vetting := self._settings.vetting) is not None:
            await asyncio.to_thread(vetting.look, plan, self._rate_and_period)

    async def _vet_ahead(self, name: str) -> None:
        """An examination takes a second, in which others may build; what it says is told later."""
        if (
            self._settings.vetting is not None
            and self._bank.slot_of(name) not in self._bank.slots()
        ):
            with suppress(AmpdError):
                await self.vet(await self.plan(name))

    @property
    def _rate_and_period(self) -> tuple[int, int]:
        return self._driver.engine.sample_rate_hz, self._observer.state.jack.period_frames

    async def build(self, slot: int, plan: Plan) -> bool:
        """Build the plan into `slot`; `building` is held. False: it plays there already, since
        before the session was there. Raises RigError."""
        if (vetting := self._settings.vetting) is not None:
            plan = await asyncio.to_thread(vetting.admit, plan, self._rate_and_period)
        setup = await asyncio.to_thread(self._setup, plan)
        async with self._driver.lock:
            engine, ready = self._driver.engine, self.ready
            if ready is not None and (ready.engine is not engine or self._bank.get(ready.slot)):
                ready = self.ready = None
            more = () if ready is None else (ready,)
            built = await in_thread(lambda: build(engine, slot, plan, setup, *more))
            self._bank.put(slot, built)
            engine.set_programs(self._bank.program_slots(), self._bank_number)
        return ready is None or built.rows is not ready.rows

    def _setup(self, plan: Plan) -> Setup:
        """What the rig is built with besides its file; blocks while its loudness is measured."""
        midi = self._settings.midi
        bindings = compile_map(midi.profile, midi.channel, self._own_map, plan.rig.midi)
        setup = levelled(plan, self._driver.engine.sample_rate_hz, self._settings.levels)
        return replace(setup, bindings=bindings)

    async def give_back(self, slots: Sequence[int]) -> None:
        """Empty these slots."""
        async with self._driver.lock:
            for slot in slots:
                self._driver.engine.remove(slot)
                self._bank.drop(slot)

    # --- in the background ----------------------------------------------------------------------

    def fill(self) -> None:
        """Build the set's rigs in the background, within the memory budget."""
        if self._filling is not None:
            self._filling.cancel()
        self._filling = asyncio.create_task(self._fill(), name="bank")

    async def filled(self) -> None:
        """Wait until the background work of fill is over."""
        if self._filling is not None:
            await asyncio.wait([self._filling])

    async def stop(self) -> bool:
        """End the background work; whether there ever was any."""
        if self._filling is None:
            return False
        self._filling.cancel()
        await asyncio.wait([self._filling])
        return True

    @property
    def _budget_bytes(self) -> int:
        return self._settings.memory_mb * 1024 * 1024

    async def _fill(self) -> None:
        for name in self._bank.unbuilt():
            if self._bank.programs[name] in self._observer.busy_slots:
                continue  # another rig plays there still
            if self._bank.used_bytes() >= self._budget_bytes:
                log.warning(
                    "The bank's memory is used up: rig %s and those after it are built when they "
                    "are asked for; raise [bank] memory_mb to switch to them at once.",
                    name,
                    extra=code("BANK-FULL"),
                )
                return
            try:
                await self.prepare(name)
            except AmpdError as error:
                log.warning(str(error), extra=code("RIG-TROUBLE"))
