"""What the audio thread reports -> State, events, and the answers to those who wait.

The observed half of the bus; the asking half is session.py.  No engine call.  Everything belongs
to the event loop's thread.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ampd.bank import Bank, Built
from ampd.codes import code
from ampd.command import Value
from ampd.errors import EngineError
from ampd.state import (
    BlockLoad,
    Change,
    Event,
    Faulted,
    JackState,
    Knob,
    Quarantined,
    State,
    StoreState,
    Swapped,
    Switch,
    WiringState,
)

log = logging.getLogger(__name__)

HALF = 0.5  # of a toggle: on from here up
GLOBAL_SLOT = -1
METHODS = ("crossfade", "duck")
Shares = tuple[float, float, float]
Key = tuple[int, int]  # what a command is about: (slot, index) of a knob, GLOBAL_SLOT, or SELECT
SELECT: Key = (-2, 0)


class Report(Protocol):
    """A Fact of the engine; its meaning is written in _engine.pyi."""

    @property
    def kind(self) -> str: ...
    @property
    def slot(self) -> int: ...
    @property
    def index(self) -> int: ...
    @property
    def value(self) -> float: ...
    @property
    def frame(self) -> int: ...
    @property
    def id(self) -> int: ...


@dataclass(frozen=True)
class Wish:
    """What a foot asked for and the audio thread cannot do alone.

    kind    "slot"        the rig of slot `number` is not built
            "program"     program number % 128 of bank number // 128
            "action"      the set `value` places on, 1 or -1
            "controller"  while learning: controller number % 128 of channel number // 128 moved to
                          `value`
    """

    kind: str
    number: int
    value: float
    turn: int  # Observer.turns then


class Observer:
    """Holds the State and replaces it as reports come in."""

    def __init__(self, bank: Bank, global_knobs: Mapping[str, Knob]) -> None:
        self.state = State()
        self.wanted_slot = -1
        self.heard_slot = -1
        self.switching = False
        self.settled = asyncio.Event()  # what is wanted is heard
        self.wishes: list[Wish] = []
        self.turns = 0  # selections so far, whoever asked
        self._bank = bank
        self._globals = dict(global_knobs)
        self._global_paths = list(global_knobs)
        self._switch_from = ""
        self._asked_frame = 0
        self._selects: dict[int, int] = {}  # command id -> engine frame when it was asked
        self._pending: dict[int, tuple[Key, asyncio.Future[Report]]] = {}
        self._takers: Mapping[str, Callable[[Report], None]] = {
            "selected": self._selected,
            "audible": self._audible,
            "switched": self._switched,
            **dict.fromkeys(("refused", "program", "action", "controller"), self._wish),
            "now": self._now,
            "changed": self._changed,
            "fault": self._fault,
            "rest": self._rest,
            "late": self._late,
        }
        self._quarantine: dict[tuple[int, int], Quarantined] = {}  # by slot and block
        self._subscribers: list[Callable[[Event], None]] = []

    @property
    def busy_slots(self) -> set[int]:
        """The slots whose chains may not be given back."""
        return {self.wanted_slot, self.heard_slot}

    @property
    def waits(self) -> bool:
        """Whether a report is still to come."""
        return bool(self._pending) or self.switching

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` for every event; returns what ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def update(self, **changes: object) -> None:
        """Replace the State."""
        changes["revision"] = self.state.revision + 1
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]

    def emit(self, event: Event) -> None:
        """Tell every subscriber."""
        for callback in list(self._subscribers):
            callback(event)

    def reset(self, sample_rate_hz: int, isa: str) -> None:
        """A new engine: nothing plays in it, and nothing asked of the old one is answered."""
        for _, future in self._pending.values():
            if not future.done():
                future.set_exception(EngineError("The engine was replaced meanwhile; ask again."))
        self.wanted_slot = self.heard_slot = -1
        self.switching = False
        self._quarantine = {}
        self._show_quarantine()
        values = {path: self._value(path, knob.default) for path, knob in self._globals.items()}
        self.update(sample_rate_hz=sample_rate_hz, isa=isa, globals=values, latency_frames=0)

    # --- what others see ------------------------------------------------------------------------

    def tell_trouble(self, rig: str, error: Exception) -> None:
        """A rig cannot be built or taken over."""
        log.warning(str(error), extra=code("RIG-TROUBLE"))
        self.update(last_error=str(error))
        self.emit(Faulted(rig, str(error)))

    def see(self, seen: JackState | WiringState | StoreState) -> None:
        """What the supervisor and the keeper see."""
        match seen:
            case JackState():
                self._see_jack(seen)
            case WiringState():
                self._see_wiring(seen)
            case StoreState():
                self._see_store(seen)

    def _see_jack(self, jack: JackState) -> None:
        changed = jack.state != self.state.jack.state
        self.update(jack=jack)
        if changed:
            self.emit(Change("jack", jack.state))

    def _see_wiring(self, wiring: WiringState) -> None:
        if wiring != self.state.wiring:
            self.update(wiring=wiring)
            self.emit(Change("jack", self.state.jack.state))

    def _see_store(self, store: StoreState) -> None:
        before = self.state.store
        if store == before:
            return
        self.update(store=store)
        if store.error:
            self.update(last_error=store.error)
            self.emit(Faulted("", store.error))
        elif before.error and self.state.last_error == before.error:
            self.update(last_error="")

    # --- answers --------------------------------------------------------------------------------

    def expect(
        self, command_id: int, key: Key, asked_frame: int | None = None
    ) -> asyncio.Future[Report]:
        """What will hold the report that answers the command; forget() it in the end.

        asked_frame: for a switch, the engine frame from which its time to sound counts.
        """
        future: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._pending[command_id] = (key, future)
        if key == SELECT:
            self.settled.clear()
            if asked_frame is not None:
                self._selects[command_id] = asked_frame
        return future

    def forget(self, command_id: int) -> None:
        """The command is answered, or nobody waits any more."""
        self._pending.pop(command_id, None)
        self._selects.pop(command_id, None)

    def _answer(self, report: Report) -> None:
        """A later command on the same knob answers the earlier ones too: the newest one counts."""
        if report.kind not in ("selected", "changed", "refused"):
            return
        key = SELECT if report.kind == "selected" else (report.slot, report.index)
        for command_id, (wanted, future) in self._pending.items():
            mine = command_id == report.id if report.kind == "refused" else wanted == key
            if mine and command_id <= report.id and not future.done():
                future.set_result(report)

    # --- reports --------------------------------------------------------------------------------

    def take(self, reports: Iterable[Report]) -> None:
        """Take over what happened, in order."""
        for report in reports:
            if (take := self._takers.get(report.kind)) is not None:
                take(report)
            self._answer(report)

    def _wish(self, report: Report) -> None:
        if report.kind != "refused":
            self.wishes.append(Wish(report.kind, report.index, report.value, self.turns))
        elif report.id == 0 and self._bank.get(report.slot) is None:
            self.wishes.append(Wish("slot", report.slot, 0.0, self.turns))

    def _selected(self, report: Report) -> None:
        self.turns += 1
        built = self._bank.get(report.slot)
        if built is None:
            return
        self._switch_from = self.state.rig
        self._asked_frame = self._selects.get(report.id, report.frame)
        self.switching = True
        self.wanted_slot = report.slot
        self._bank.touch(report.slot)
        name = built.plan.rig.name
        self._show_wanted(built)
        self.emit(Change("rig", name))
        for path, file in built.plan.rig.files.items():
            self.emit(Change(path, file))
        for path, value in built.values.items():
            self.emit(Change(path, value))

    def _switched(self, report: Report) -> None:
        self.switching = False
        if self.heard_slot != report.slot:  # that it is audible was lost
            self._show_heard(report.slot)
        self.settled.set()

    def _show_wanted(self, built: Built | None) -> None:
        if built is None:
            empty = {"wanted_rig": "", "values": {}, "files": {}, "snapshots": (), "warnings": ()}
            self.update(**empty, params=self._globals)
            return
        self.update(
            wanted_rig=built.plan.rig.name,
            values=dict(built.values),
            params={**self._globals, **built.knobs},
            files=built.plan.rig.files,
            snapshots=tuple(snapshot.name for snapshot in built.plan.rig.snapshots),
            warnings=built.warnings,
        )

    def _show_heard(self, slot: int) -> None:
        self.heard_slot = slot
        heard = self._bank.get(slot)
        if heard is not None:
            self.update(rig=heard.plan.rig.name, latency_frames=heard.latency_frames)

    def _now(self, report: Report) -> None:
        """Reports were lost, or a selection was refused: this is how things stand, and all values
        follow."""
        self.wanted_slot = report.slot
        self._quarantine = {}
        self._show_quarantine()
        self.switching = report.slot != report.index
        if not self.switching:
            self.settled.set()
        self._show_wanted(self._bank.get(report.slot))
        self.emit(Change("rig", self.state.wanted_rig))
        self._show_heard(report.index)

    def _audible(self, report: Report) -> None:
        self.heard_slot = report.slot
        self._release(report.slot)
        name = self._bank.name_of(report.slot)
        built = self._bank.get(report.slot)
        latency_frames = built.latency_frames if built else self.state.latency_frames
        frames = max(0, report.frame - self._asked_frame)
        milliseconds = round(1000.0 * frames / self.state.sample_rate_hz, 3)
        method = METHODS[report.value >= HALF]
        switch = Switch(self._switch_from, name, milliseconds, method)
        self.update(rig=name, latency_frames=latency_frames, last_switch=switch)
        self.settled.set()
        self.emit(Swapped(switch))

    def _changed(self, report: Report) -> None:
        value: Value
        built = self._bank.get(report.slot)
        if report.slot == GLOBAL_SLOT:
            path = self._global_paths[report.index]
            value = self._value(path, report.value)
            self.update(globals={**self.state.globals, path: value})
        elif report.slot == self.wanted_slot and built is not None:
            path, value = built.paths[report.index], report.value
            self.update(values={**self.state.values, path: value})
        else:
            return
        self.emit(Change(path, value))

    def _value(self, path: str, value: float) -> bool | float:
        return value >= HALF if self._globals[path].is_switch else value

    # --- what is not played ---------------------------------------------------------------------

    def _fault(self, report: Report) -> None:
        held = self._hold(report, "broken")
        text = (
            f"Rig {held.rig} gave a sample that is no number{_whose(held)}; "
            f"it is dry until selected again."
        )
        log.warning(text, extra=code("RIG-NOT-FINITE"))
        self.update(last_error=text)
        self.emit(Faulted(held.rig, text))

    def _rest(self, report: Report) -> None:
        if report.value == 0:
            held = self._quarantine.pop((report.slot, report.index), None)
            self._show_quarantine()
            if held is not None:
                log.info("rig %s: %s is tried again", held.rig, held.block)
            return
        smaller = report.value == HALF
        held = self._hold(report, "smaller" if smaller else "slow")
        done = "plays its smallest size" if smaller else "is left out"
        text = (
            f"Rig {held.rig} is more than this machine carries in time; {held.block} {done}"
            f"{_whose(held)} and is tried again once after 10 s, or when the rig is selected again."
        )
        log.warning(text, extra=code("RIG-TOO-SLOW"))
        self.update(last_error=text)
        self.emit(Faulted(held.rig, text))

    def _hold(self, report: Report, reason: str) -> Quarantined:
        built = self._bank.get(report.slot)
        names = built.blocks if built is not None else ()
        block = names[report.index] if 0 <= report.index < len(names) else ""
        rig = built.plan.rig if built is not None else None
        inside = [each for each in rig.blocks if each.name in block.split("+")] if rig else []
        files = [file for each in inside for file in (*each.models, each.impulse) if file]
        held = Quarantined(rig.name if rig else "", block, tuple(files), reason)
        self._quarantine[report.slot, report.index] = held
        self._show_quarantine()
        return held

    def _release(self, slot: int) -> None:
        """The rig in `slot` is heard from its beginning on; what rests, rests in what is heard."""
        self._quarantine = {
            place: held
            for place, held in self._quarantine.items()
            if place[0] != slot and held.reason == "broken"
        }
        self._show_quarantine()

    def _show_quarantine(self) -> None:
        self.update(quarantined=tuple(self._quarantine.values()))

    # --- load -----------------------------------------------------------------------------------

    def take_load(self, slot: int, whole: Shares, blocks: Sequence[Shares]) -> None:
        """What the audio thread had to do since the last time, for the rig in `slot`; each: p50,
        p99, maximum."""
        built = self._bank.get(slot)
        names = built.blocks if built is not None else ()
        told = tuple(BlockLoad(name, *shares) for name, shares in zip(names, blocks, strict=False))
        p50, p99, maximum = whole
        seen = replace(self.state.load, p50=p50, p99=p99, maximum=maximum, blocks=told)
        self.update(load=seen)

    def _late(self, report: Report) -> None:
        load = self.state.load
        if report.value >= HALF:
            self.update(load=replace(load, late_engine=load.late_engine + 1))
        else:
            self.update(load=replace(load, late_machine=load.late_machine + 1))


def _whose(held: Quarantined) -> str:
    """The files of a block, for the middle of a sentence."""
    return f" ({held.block}: {', '.join(held.models)})" if held.models else ""
