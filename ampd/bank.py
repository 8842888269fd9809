"""Which rig lies in which slot of the engine, and what was built there.  No engine call.

The rig with MIDI program n lies in slot n, where a program change finds it without Python.  The
slots above are for rigs outside the bank.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ampd.edit import MOVERS
from ampd.errors import LibraryError, RigError
from ampd.library import Library, Stamp, stamp
from ampd.rig import PROGRAM_COUNT, Rig, RigBlock, is_name
from ampd.sets import RigSet, assign_programs, set_programs
from ampd.state import Knob, RigEntry


@dataclass(frozen=True)
class Plan:
    """A rig with its names resolved: all that is needed to build it, and when it is outdated."""

    rig: Rig
    models: Mapping[str, Path]  # by their names in the rig
    stamp: Stamp
    impulses: Mapping[str, Path] = field(default_factory=dict)  # by their names in the rig
    edited: bool = False  # another rig than its file's
    held: Mapping[Path, object] = field(default_factory=dict)  # what was read and vetted of a file

    def outdated(self) -> bool:
        """Whether one of its files has changed since. Blocks on the disk."""
        return stamp([Path(path) for path, *_ in self.stamp]) != self.stamp


@dataclass(frozen=True)
class Built:
    """What lies in a slot."""

    plan: Plan
    values: Mapping[str, float]  # the rig's own, by path, in the engine's index order
    index: Mapping[str, int]  # path -> the engine's index
    knobs: Mapping[str, Knob]  # path -> what it accepts
    memory_bytes: int
    latency_frames: int
    cost_ns: float  # of a frame, in this machine's CPU time
    blocks: tuple[str, ...]  # whose load the engine tells, in its order
    warnings: tuple[str, ...]
    rows: Mapping[str, Any] = field(default_factory=dict)  # what it was built of (rack.to_rows)

    @property
    def paths(self) -> list[str]:
        """The paths of the knobs, by the engine's index."""
        return list(self.values)

    def turned(self, values: Mapping[str, float]) -> list[tuple[int, float]]:
        """The knobs that differ from these values of the same rig, as (index, value)."""
        paths = [path for path in values if path in self.index]
        # Movers come first, and all others after them, or they would undo what was.
        movers = [path for path in MOVERS if path in paths]
        moving = [path for path in movers if values[path] != self.values[path]]
        rest = [p for p in paths if p not in movers and (moving or values[p] != self.values[p])]
        return [(self.index[path], values[path]) for path in (*moving, *rest)]


def plan_rig(library: Library, rig: Rig) -> Plan:
    """Find the rig's models and impulses and note their stamps. Raises RigError. Blocks."""
    models: dict[str, Path] = {}
    impulses: dict[str, Path] = {}
    for block in rig.blocks:
        for name in block.models:
            models[name] = _found(rig, block, "model", library.find_model, name)
        if block.impulse:
            found = _found(rig, block, "impulse", library.find_cab, block.impulse)
            impulses[block.impulse] = found
    files = [*([rig.path] if rig.path else []), *models.values(), *impulses.values()]
    return Plan(rig, models, stamp(files), impulses)


def plan_named(library: Library, name: str) -> Plan:
    """The rig `name` as it is on disk now. Raises LibraryError, RigError. Blocks."""
    # Before it is read, so that what is written meanwhile makes the plan outdated.
    before = stamp([library.find_rig(name)])
    plan = plan_rig(library, library.load_rig(name))
    return replace(plan, stamp=(*before, *plan.stamp[1:]))


def _found(rig: Rig, block: RigBlock, key: str, find: Callable[[str], Path], name: str) -> Path:
    try:
        return find(name)
    except LibraryError as error:
        line = f":{block.line}" if rig.path and block.line else ""
        raise RigError(f"{rig.path or rig.name}{line}: {block.name}/{key}: {error}") from error


def plan_model(path: Path) -> Plan:
    """A rig of one amp that plays the model file `path`, which need not be in the library."""
    letters = (letter if is_name(letter) else "-" for letter in path.stem)
    name = "".join(letters)[:64] or "model"
    rig = Rig(name, None, {}, (RigBlock("amp", "amp", {}, name),))
    return Plan(rig, {name: path}, stamp([path]))


class Bank:
    """The slot map. Event loop's thread."""

    def __init__(self, slot_count: int) -> None:
        self.programs: dict[str, int] = {}  # rig name -> program = slot
        self.errors: dict[str, str] = {}  # rig name -> why it cannot be built
        self.rig_set: RigSet | None = None  # None: all rigs of the folder
        self._built: dict[int, Built] = {}  # selected longest ago first
        self._scratch_slots = range(PROGRAM_COUNT, slot_count)
        self._scratch = itertools.cycle(self._scratch_slots)

    def adopt(
        self, rigs: Sequence[Rig], errors: Mapping[str, str], rig_set: RigSet | None = None
    ) -> list[str]:
        """Give every rig its program, or with a set those of the set alone; returns a sentence for
        each that could not have its own. What is built stays where it is: see misplaced()."""
        self.rig_set = rig_set
        if rig_set is None:
            self.errors = dict(errors)
            self.programs, complaints = assign_programs(rigs)
            return complaints
        wanted = {name for name, _ in rig_set.entries}
        self.errors = {name: text for name, text in errors.items() if name in wanted}
        self.programs, complaints = set_programs(rig_set, [rig.name for rig in rigs], errors)
        return complaints

    def slot_of(self, name: str) -> int:
        """The slot of the rig `name`, -1 where it has none yet."""
        if name in self.programs:
            return self.programs[name]
        for slot in self._scratch_slots:
            if self.name_of(slot) == name:
                return slot
        return -1

    def claim(self, rig: Rig, busy: Set[int]) -> int:
        """A slot for a rig that has none: its own program, else the lowest free one, else a
        scratch slot that is not among the `busy`. While a set plays, its rigs have its programs
        and all others scratch slots: the foot switches are the set's."""
        slot = self.slot_of(rig.name)
        if slot >= 0:
            return slot
        if self.rig_set is not None:
            own = dict(self.rig_set.entries).get(rig.name)
            if own is None:
                return self.scratch(busy)
            self.programs[rig.name] = own
            return own
        taken = set(self.programs.values())
        free = [program for program in range(PROGRAM_COUNT) if program not in taken]
        if not free:
            return self.scratch(busy)
        program = rig.program if rig.program in free else free[0]
        self.programs[rig.name] = program
        return program

    def begin_scratch(self, slot: int) -> None:
        """Have `slot`, where it is one outside the bank, be the first that scratch() gives."""
        start = slot - self._scratch_slots.start if slot in self._scratch_slots else 0
        self._scratch = itertools.cycle(
            [*self._scratch_slots[start:], *self._scratch_slots[:start]]
        )

    def scratch(self, busy: Set[int]) -> int:
        """A slot outside the bank whose chain nobody hears or waits for."""
        slot = next(self._scratch)
        while slot in busy:
            slot = next(self._scratch)
        return slot

    def get(self, slot: int) -> Built | None:
        """What was built in `slot`."""
        return self._built.get(slot)

    def put(self, slot: int, built: Built) -> None:
        """Note what was built in `slot`."""
        self._built[slot] = built
        self.touch(slot)

    def touch(self, slot: int) -> None:
        """Note that `slot` is in use now."""
        self._built[slot] = self._built.pop(slot)

    def drop(self, slot: int) -> None:
        """Forget what was built in `slot`."""
        del self._built[slot]

    def clear(self) -> None:
        """Forget everything that was built; the programs stay."""
        self._built.clear()

    def note_error(self, name: str, text: str) -> None:
        """Note why the rig `name` cannot be built, if it is one of the bank's."""
        if name in self.programs or name in self.errors:
            self.errors[name] = text

    def slots(self) -> list[int]:
        """The slots in which something is built."""
        return list(self._built)

    def program_name(self, program: int) -> str:
        """The rig of a MIDI program, "" where it has none."""
        return next((name for name, number in self.programs.items() if number == program), "")

    def name_of(self, slot: int) -> str:
        """The rig in `slot`, "" where there is none."""
        built = self._built.get(slot)
        return built.plan.rig.name if built else ""

    def used_bytes(self) -> int:
        """Memory of all that is built."""
        return sum(built.memory_bytes for built in self._built.values())

    def surplus(self, budget_bytes: int, keep: Set[int]) -> list[int]:
        """The slots to give back, selected longest ago first, until the budget is kept."""
        used, slots = self.used_bytes(), []
        for slot, built in self._built.items():
            if used <= budget_bytes:
                break
            if slot not in keep:
                used -= built.memory_bytes
                slots.append(slot)
        return slots

    def unbuilt(self) -> list[str]:
        """The bank's rigs that are not built, in program order."""
        ordered = sorted(self.programs, key=self.programs.__getitem__)
        return [name for name in ordered if not self._holds(name)]

    def misplaced(self) -> list[int]:
        """The slots of programs that hold another rig than the program's, or whose program has
        none: what adopt() leaves when the programs change."""
        return [
            slot
            for slot in self._built
            if slot < PROGRAM_COUNT and self.programs.get(self.name_of(slot)) != slot
        ]

    def program_slots(self) -> list[int]:
        """For each MIDI program its slot, -1 where it has no rig."""
        taken = set(self.programs.values())
        return [slot if slot in taken else -1 for slot in range(PROGRAM_COUNT)]

    def is_outside(self, built: Built) -> bool:
        """Whether what was built is no rig of the bank as it is on disk."""
        return built.plan.edited or built.plan.rig.name not in self.programs

    def entries(self) -> tuple[RigEntry, ...]:
        """The bank as people see it, in program order; unreadable rigs last."""
        good = [
            RigEntry(name, program, self._holds(name), self.errors.get(name, ""))
            for name, program in sorted(self.programs.items(), key=lambda item: item[1])
        ]
        bad = sorted(self.errors.keys() - self.programs.keys())
        return (*good, *(RigEntry(name, None, False, self.errors[name]) for name in bad))

    def _holds(self, name: str) -> bool:
        """Whether the program of the rig `name` has it built."""
        return self.name_of(self.programs[name]) == name
