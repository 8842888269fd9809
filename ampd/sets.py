"""Sets of rigs: which rigs are under the foot, and which MIDI program each of them has.

A set is a file, rigs/sets/NAME.yaml, a bank of the foot controller; its form is defined in
rigs/README.md.  Without a set, all rigs of the folder have the programs that they ask for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ampd.errors import RigError
from ampd.rig import PROGRAM_COUNT, Rig, is_name, read_bytes
from ampd.rig_yaml import Document, as_list, as_mapping, describe, read_document, whole

SET_KEYS = ("bank", "rigs")
BANK_COUNT = 16384  # 128 * CC0 + CC32
ALL_RIGS_BANK = 0  # the folder itself, unless a set claims it


@dataclass(frozen=True)
class RigSet:
    """Rigs in the order of the evening. path is None where no file stands behind it."""

    name: str
    bank: int | None = None  # MIDI bank number 0..16383; None: the file leaves it open
    entries: tuple[tuple[str, int], ...] = ()  # (rig name, MIDI program), both once
    path: Path | None = None


def read_set(path: Path) -> RigSet:
    """The set in the file `path`; its name is the file's. Raises RigError. Blocks on the disk."""
    return parse_set(read_bytes(path), path.stem, path)


def parse_set(data: bytes, name: str, path: Path | None = None) -> RigSet:
    """The set in the bytes of a set file. Raises RigError with place, found and expected."""
    document = read_document(data, str(path or name))
    top = as_mapping(document, (), "", SET_KEYS, "keys such as rigs")
    bank = top.get("bank")
    if bank is not None:
        whole(f"{document.at('bank')}: bank", bank, 0, BANK_COUNT - 1)
    rigs = as_list(document, "rigs", top.get("rigs"), PROGRAM_COUNT, "- lead")
    entries: list[tuple[str, int]] = []
    for index, each in enumerate(rigs):
        where = f"{document.at('rigs', index)}: rigs entry {index + 1}"
        rig, program = _entry(document, index, where, each)
        if rig in (other for other, _ in entries):
            raise RigError(f"{where}: rig {rig} stands twice, expected once: it has one program.")
        if owner := [other for other, taken in entries if taken == program]:
            raise RigError(
                f"{where}: program {program} of rig {rig} is taken by rig {owner[0]}; "
                f"give one of them another number."
            )
        entries.append((rig, program))
    if not entries:
        raise RigError(
            f"{document.at('rigs')}: the set has no rigs, expected a list such as '- lead'."
        )
    return RigSet(name, bank, tuple(entries), path)


def _entry(document: Document, index: int, where: str, entry: Any) -> tuple[str, int]:
    """A name, whose place is its program, or {name: program}."""
    program = index
    if isinstance(entry, dict) and len(entry) == 1:
        ((entry, found),) = entry.items()
        program = whole(f"{where}: the program of {entry}", found, 0, PROGRAM_COUNT - 1)
    if not isinstance(entry, str) or not is_name(entry):
        raise RigError(
            f"{where} is {describe(entry)}, expected the name of a rig, or {{name: program}}; "
            f"a number in quotes."
        )
    return entry, program


def assign_banks(sets: Iterable[RigSet]) -> tuple[list[RigSet], list[str]]:
    """Give every set its bank number: its own, or in name order the lowest that is free from 1 on.

    Returns the sets in bank order and a sentence for each that could not have the number it asks
    for.
    """
    banks: dict[int, RigSet] = {}
    waiting: list[RigSet] = []
    complaints = []
    for each in sorted(sets, key=lambda rig_set: rig_set.name):
        if each.bank is None:
            waiting.append(each)
        elif each.bank in banks:
            complaints.append(
                f"{each.path or each.name}: bank {each.bank} is taken by set "
                f"{banks[each.bank].name}; it gets a free number until one of the two changes."
            )
            waiting.append(each)
        else:
            banks[each.bank] = each
    free = (bank for bank in range(ALL_RIGS_BANK + 1, BANK_COUNT) if bank not in banks)
    for each, bank in zip(sorted(waiting, key=lambda rig_set: rig_set.name), free, strict=False):
        banks[bank] = replace(each, bank=bank)
    return [banks[bank] for bank in sorted(banks)], complaints


def set_programs(
    rig_set: RigSet, names: Sequence[str], unreadable: Iterable[str] = ()
) -> tuple[dict[str, int], list[str]]:
    """The programs that a set gives to those of its rigs that are there.

    names: the rigs that could be read; unreadable: those whose trouble is told already.  Returns
    name -> program and a sentence for each other rig of the set.
    """
    programs = {rig: program for rig, program in rig_set.entries if rig in names}
    known = {*names, *unreadable}
    complaints = [
        f"{rig_set.path or rig_set.name}: there is no rig {rig}; program {program} of the set "
        f"selects nothing until there is one."
        for rig, program in rig_set.entries
        if rig not in known
    ]
    return programs, complaints


def assign_programs(rigs: Sequence[Rig]) -> tuple[dict[str, int], list[str]]:
    """Give every rig a MIDI program: its own, or in name order the lowest that is free.

    Returns name -> program (a rig beyond the 128th has none) and a sentence for each rig that
    could not have the number it asks for.
    """
    programs: dict[str, int] = {}
    owner: dict[int, str] = {}
    complaints = []
    ordered = sorted(rigs, key=lambda rig: rig.name)
    for rig in ordered:
        if rig.program is None:
            continue
        if rig.program in owner:
            complaints.append(
                f"{rig.path or rig.name}: program {rig.program} is taken by rig "
                f"{owner[rig.program]}; it gets a free number until one of the two changes."
            )
            continue
        owner[rig.program] = rig.name
        programs[rig.name] = rig.program
    free = (number for number in range(PROGRAM_COUNT) if number not in owner)
    for rig in ordered:
        if rig.name not in programs and (number := next(free, None)) is not None:
            programs[rig.name] = number
    return programs, complaints
