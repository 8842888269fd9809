"""A rig file (YAML) <-> a frozen Rig.

Only the form is checked here: keys, names, finite numbers, and that what is named elsewhere in the
file is in the chain.  Which params a block has and what they accept is the engine's to say, once
the chain is built (session.py).  The format is defined in rigs/README.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ampd.config import OUTPUT_LEVELS
from ampd.errors import RigError
from ampd.midi import (
    Binding,
    kind_of,
    message_document,
    parse_bindings,
    parse_messages,
    to_document,
)
from ampd.rig_chain import (
    BLOCK_NAME,
    FILE_KEYS,
    PARAM_NAME,
    RigBlock,
    block_document,
    is_name,
    parse_chain,
)
from ampd.rig_yaml import (
    MAX_BYTES,
    Document,
    as_list,
    as_mapping,
    choices,
    describe,
    number,
    read_document,
    whole,
)

T = TypeVar("T")

__all__ = [  # with what is at home in rig_chain.py
    "MAX_SNAPSHOTS",
    "PROGRAM_COUNT",
    "Binding",
    "Rig",
    "RigBlock",
    "Snapshot",
    "is_name",
    "parse_rig",
    "read_bytes",
    "read_rig",
    "to_yaml",
]

MAX_SNAPSHOTS = 8
PROGRAM_COUNT = 128
TOP_KEYS = ("program", "input", "chain", "output", "mix", "snapshots", "morph", "midi", "on_load")
END_KEYS = {"input": ("gain_db",), "output": ("gain_db", "level")}
OWN_PATHS = ("mix", "input/gain_db", "output/gain_db")
LOADED_KEYS = (*FILE_KEYS, "beside", "level")  # no snapshot changes them
SNAPSHOT_NAME_LENGTH = 32
ENTRY = re.compile(r"entry ([0-9]{1,3}): ")  # how midi.py begins what it says of one


@dataclass(frozen=True)
class Snapshot:
    """Values that are laid over the rig's own, without a reload."""

    name: str
    values: Mapping[str, float] = field(default_factory=dict)  # "amp/gain_db", "delay/bypass"


@dataclass(frozen=True)
class Rig:
    """One sound: what a foot switch selects. path is None where no file stands behind it."""

    name: str
    program: int | None = None  # MIDI program number 0..127
    values: Mapping[str, float] = field(default_factory=dict)  # "input/gain_db", "mix", ...
    blocks: tuple[RigBlock, ...] = ()
    path: Path | None = None
    level: str = ""  # one of OUTPUT_LEVELS, "" = as ampd.toml says
    snapshots: tuple[Snapshot, ...] = ()  # snapshot n is [n - 1]
    morph: tuple[int, int] = (0, 0)  # where the pedal goes from and to; 0 is the rig itself
    midi: tuple[Binding, ...] = ()
    on_load: tuple[bytes, ...] = ()  # one MIDI message each

    @property
    def files(self) -> dict[str, str]:
        """What its blocks read, by "amp/model" and "cab/impulse"; "" is the built-in speaker."""
        models = {f"{each.name}/model": each.model for each in self.blocks if each.model}
        cabs = [each for each in self.blocks if each.kind == "cab"]
        return models | {f"{each.name}/impulse": each.impulse for each in cabs}


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, one more than MAX_BYTES at most. Raises RigError. Blocks on the disk."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RigError(f"{path}: cannot be read ({error.strerror}).") from error


def read_rig(path: Path) -> Rig:
    """The rig in the file `path`; its name is the file's. Raises RigError. Blocks on the disk."""
    return parse_rig(read_bytes(path), path.stem, path)


def parse_rig(data: bytes, name: str, path: Path | None = None) -> Rig:
    """The rig in the bytes of a rig file. Raises RigError with place, found and expected."""
    document = read_document(data, str(path or name))
    top = as_mapping(document, (), "", TOP_KEYS, "keys such as chain")
    blocks = parse_chain(document, top.get("chain"))
    snapshots = _snapshots(document, top.get("snapshots"), [block.name for block in blocks])
    bindings = _midi_list(document, "midi", parse_bindings, top.get("midi"))
    _check_targets(document, bindings, [block.name for block in blocks])
    messages = _midi_list(document, "on_load", parse_messages, top.get("on_load"))
    return Rig(
        name,
        _program(document, top.get("program")),
        _own_values(document, top),
        blocks,
        path,
        _level(document),
        snapshots,
        _morph(document, top.get("morph"), len(snapshots)),
        bindings,
        messages,
    )


def to_yaml(rig: Rig) -> str:
    """The text of a rig file that parse_rig reads back to an equal Rig."""
    document: dict[str, Any] = {} if rig.program is None else {"program": rig.program}
    for path, value in rig.values.items():
        if "/" in path:
            end, key = path.split("/")
            document.setdefault(end, {})[key] = value
        else:
            document[path] = value
    if rig.level:
        document.setdefault("output", {})["level"] = rig.level
    document["chain"] = [{block.name: block_document(block)} for block in rig.blocks]
    if rig.snapshots:
        document["snapshots"] = [{"name": each.name, **each.values} for each in rig.snapshots]
    if rig.morph != _usual_morph(len(rig.snapshots)):
        document["morph"] = list(rig.morph)
    if rig.midi:
        document["midi"] = [to_document(binding) for binding in rig.midi]
    if rig.on_load:
        document["on_load"] = [message_document(message) for message in rig.on_load]
    ordered = {key: document[key] for key in TOP_KEYS if key in document}
    return yaml.safe_dump(
        ordered, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100
    )


def _program(document: Document, program: Any) -> int | None:
    if program is None:
        return None
    return whole(f"{document.at('program')}: program", program, 0, PROGRAM_COUNT - 1)


def _own_values(document: Document, top: Mapping[str, Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for end, keys in END_KEYS.items():
        entry = as_mapping(document, (end,), end, keys, "such as {gain_db: 0}")
        if "gain_db" in entry:
            where = f"{document.at(end, 'gain_db')}: {end}/gain_db"
            values[f"{end}/gain_db"] = number(where, entry["gain_db"])
    if "mix" in top:
        values["mix"] = number(f"{document.at('mix')}: mix", top["mix"])
    return values


def _level(document: Document) -> str:
    entry = as_mapping(document, ("output",), "output", END_KEYS["output"], "such as {gain_db: 0}")
    level = entry.get("level", "")
    if "level" in entry and level not in OUTPUT_LEVELS:
        raise RigError(
            f"{document.at('output', 'level')}: output/level is {describe(level)}, "
            f"expected one of {', '.join(OUTPUT_LEVELS)}."
        )
    return str(level)


def _snapshots(document: Document, entry: Any, blocks: Sequence[str]) -> tuple[Snapshot, ...]:
    example = "- {name: lead, amp/gain_db: 6}"
    entries = as_list(document, "snapshots", entry, MAX_SNAPSHOTS, example)
    snapshots: list[Snapshot] = []
    for index, each in enumerate(entries):
        snapshot = _snapshot(document, index, each, blocks)
        if any(snapshot.name == other.name for other in snapshots):
            raise RigError(
                f"{document.at('snapshots', index)}: snapshot {index + 1}: the name "
                f"{snapshot.name} stands twice, expected a name of its own."
            )
        snapshots.append(snapshot)
    return tuple(snapshots)


def _snapshot(document: Document, index: int, entry: Any, blocks: Sequence[str]) -> Snapshot:
    inside = f"snapshot {index + 1}"
    where = f"{document.at('snapshots', index)}: {inside}"
    if not isinstance(entry, dict):
        raise RigError(
            f"{where} is {describe(entry)}, expected such as {{name: lead, amp/gain_db: 6}}."
        )
    values = dict(entry)
    name = values.pop("name", str(index + 1))
    if (
        not isinstance(name, str)
        or not 1 <= len(name) <= SNAPSHOT_NAME_LENGTH
        or not name.isprintable()
    ):
        raise RigError(
            f"{where}: name is {describe(name)}, expected a text of 1 to {SNAPSHOT_NAME_LENGTH} "
            f"characters; put a number or a word such as on in quotes."
        )
    found = {}
    for path, value in values.items():
        place = f"{document.at('snapshots', index, str(path))}: {inside} ({name}): "
        place += path if isinstance(path, str) else describe(path)
        _check_path(place, path, value, blocks)
        found[path] = number(place, value, switch=True)
    return Snapshot(name, found)


def _check_path(place: str, path: Any, value: Any, blocks: Sequence[str]) -> None:
    block, _, param = path.partition("/") if isinstance(path, str) else ("", "", "")
    if path in OWN_PATHS:
        return
    if isinstance(value, dict):
        raise RigError(f"{place} is a mapping, expected a path and a number: {block}/gain_db: 6.")
    if not PARAM_NAME.fullmatch(param) or not BLOCK_NAME.fullmatch(block):
        raise RigError(f"{place} is no path, expected such as amp/gain_db, delay/bypass or mix.")
    if param in LOADED_KEYS:
        raise RigError(f"{place}: a snapshot changes values and loads nothing; make it a rig.")
    if block not in blocks:
        raise RigError(f"{place}: there is no block {block} in the chain{choices(blocks)}.")


def _morph(document: Document, entry: Any, count: int) -> tuple[int, int]:
    if entry is None:
        return _usual_morph(count)
    place = f"{document.at('morph')}: morph"
    if not isinstance(entry, list) or len(entry) != 2:
        raise RigError(f"{place} is {describe(entry)}, expected two snapshots such as [1, 2].")
    first, second = (whole(place, each, 0, count) for each in entry)
    if first == second != 0:
        raise RigError(f"{place} goes from {first} to {second}, expected two different snapshots.")
    return first, second


def _usual_morph(count: int) -> tuple[int, int]:
    return (1, 2) if count > 1 else (0, count)


def _midi_list(
    document: Document, key: str, parse: Callable[[Any], tuple[T, ...]], entry: Any
) -> tuple[T, ...]:
    try:
        return parse(entry)
    except ValueError as error:
        numbered = ENTRY.match(str(error))
        place = (key, int(numbered.group(1)) - 1) if numbered else (key,)
        raise RigError(f"{document.at(*place)}: {key} {error}.") from error


def _check_targets(document: Document, bindings: Sequence[Binding], blocks: Sequence[str]) -> None:
    for index, binding in enumerate(bindings):
        block = binding.path.partition("/")[0]
        if kind_of(binding.path) == "param" and not (binding.path in OWN_PATHS or block in blocks):
            raise RigError(
                f"{document.at('midi', index)}: midi entry {index + 1} binds {binding.path}: "
                f"there is no block {block} in the chain{choices(blocks)}."
            )
