"""A rig file (YAML) <-> a frozen Rig.

Only the form is checked here: keys, names, finite numbers.  Which params a block has and what
they accept is the engine's to say, once the chain is built (session.py).  The format is defined
in rigs/README.md.

The reader treats a file as hostile: at most 256 kB, at most 16 levels, and no anchors, aliases,
tags, merge keys or doubled keys, which is what turns a small YAML file into a large document.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ampd.errors import RigError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_BLOCKS = 32
FAMILY_SIZES = range(2, 9)
PROGRAM_COUNT = 128
TOP_KEYS = ("program", "input", "chain", "output", "mix")
END_KEYS = ("gain_db",)
BLOCK_NAME = re.compile(r"([a-z]{1,16})([1-9][0-9]?)?")
PARAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
FILE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

# libyaml where PyYAML was built with it, else the same reader in Python.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class RigBlock:
    """One block of a chain. name is the kind, with a number from the second one on."""

    kind: str
    name: str
    values: Mapping[str, float] = field(default_factory=dict)  # "gain_db": -3.0
    model: str = ""  # a name of the library, never a path
    family: Mapping[float, str] = field(default_factory=dict)  # the knob's position -> such a name

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all models that it plays, in order."""
        return (self.model,) if self.model else tuple(self.family.values())


@dataclass(frozen=True)
class Rig:
    """One sound: what a foot switch selects. path is None where no file stands behind it."""

    name: str
    program: int | None = None  # MIDI program number 0..127
    values: Mapping[str, float] = field(default_factory=dict)  # "input/gain_db", "mix", ...
    blocks: tuple[RigBlock, ...] = ()
    path: Path | None = None


def is_name(text: str) -> bool:
    """Whether `text` may name a rig or model: 1 to 64 of A-Z a-z 0-9 . _ - and no folder."""
    return FILE_NAME.fullmatch(text) is not None and text.strip(".") != ""


def read_rig(path: Path) -> Rig:
    """The rig in the file `path`; its name is the file's. Raises RigError. Blocks on the disk."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RigError(f"{path}: cannot be read ({error.strerror}).") from error
    return parse_rig(data, path.stem, path)


def parse_rig(data: bytes, name: str, path: Path | None = None) -> Rig:
    """The rig in the bytes of a rig file. Raises RigError with place, found and expected."""
    place = str(path or name)
    document = _read_yaml(data, place)
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise RigError(f"{place}: holds {_kind(document)}, expected keys such as {TOP_KEYS[2]}.")
    _check_keys(place, "", document, TOP_KEYS)
    values: dict[str, float] = {}
    for end in ("input", "output"):
        for key, value in _mapping(place, end, document.get(end, {}), END_KEYS).items():
            values[f"{end}/{key}"] = _number(f"{place}: {end}/{key}", value)
    if "mix" in document:
        values["mix"] = _number(f"{place}: mix", document["mix"])
    return Rig(name, _program(place, document), values, _chain(place, document), path)


def to_yaml(rig: Rig) -> str:
    """The text of a rig file that parse_rig reads back to an equal Rig."""
    document: dict[str, Any] = {} if rig.program is None else {"program": rig.program}
    for path, value in rig.values.items():
        if "/" in path:
            end, key = path.split("/")
            document.setdefault(end, {})[key] = value
        else:
            document[path] = value
    document["chain"] = [
        {
            block.name: ({"model": block.model} if block.model else {})
            | ({"models": dict(block.family)} if block.family else {})
            | dict(block.values)
        }
        for block in rig.blocks
    ]
    ordered = {key: document[key] for key in TOP_KEYS if key in document}
    return yaml.safe_dump(ordered, sort_keys=False)


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


def _read_yaml(data: bytes, place: str) -> Any:
    if len(data) > MAX_BYTES:
        raise RigError(f"{place}: the file is larger than {MAX_BYTES // 1024} kB.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RigError(f"{place}: byte {error.start} is not UTF-8 text.") from error
    try:
        _refuse_tricks(text, place)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)
    except yaml.MarkedYAMLError as error:
        line = getattr(error.problem_mark or error.context_mark, "line", 0) + 1
        what = error.problem or error.context
        raise RigError(f"{place}:{line}: not YAML: {what}.") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise RigError(f"{place}: not YAML: {' '.join(str(error).split())}.") from error


def _refuse_tricks(text: str, place: str) -> None:
    """Walk the events, which cost memory linear in the file, before anything is built of them."""
    levels: list[_Level] = []
    documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        documents += isinstance(event, yaml.DocumentStartEvent)
        if isinstance(event, yaml.CollectionEndEvent):
            levels.pop()
        if isinstance(event, yaml.NodeEvent):
            line = f"{place}:{_line_of(event)}"
            _refuse_marks(event, line)
            if levels:
                levels[-1].take(event, line)
            if isinstance(event, yaml.CollectionStartEvent):
                if len(levels) >= MAX_DEPTH:
                    raise RigError(f"{line}: nested deeper than {MAX_DEPTH} levels.")
                levels.append(_Level(isinstance(event, yaml.MappingStartEvent)))
    if documents > 1:
        raise RigError(f"{place}: holds {documents} YAML documents, expected one.")


def _line_of(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


def _refuse_marks(event: Any, line: str) -> None:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise RigError(f"{line}: anchors and aliases (& *) are not allowed; write it out.")
    if event.tag is not None:
        raise RigError(f"{line}: tags (!) are not allowed; write a plain value.")


class _Level:
    """One open list or mapping of the YAML; a mapping's children are key, value, key, value."""

    def __init__(self, is_mapping: bool) -> None:
        self._is_mapping = is_mapping
        self._keys: set[str | float] = set()
        self._key_is_next = True

    def take(self, event: Any, line: str) -> None:
        """A child of this level begins. Raises RigError for a key that is not allowed."""
        if self._is_mapping and self._key_is_next:
            _check_key(event, self._keys, line)
        self._key_is_next = not self._key_is_next


def _check_key(event: Any, keys: set[str | float], line: str) -> None:
    if not isinstance(event, yaml.ScalarEvent):
        raise RigError(f"{line}: a key is a list or mapping, expected a word.")
    if event.value == "<<":
        raise RigError(f"{line}: merge keys (<<) are not allowed; write it out.")
    key = _as_read(event.value)
    if key in keys:
        raise RigError(f"{line}: key {event.value} stands twice; remove one.")
    keys.add(key)


def _as_read(key: str) -> str | float:
    """5 and 5.0 are one key once they are read, and the second would silently win."""
    try:
        number = float(key)
    except ValueError:
        return key
    return number if math.isfinite(number) else key


def _program(place: str, document: Mapping[str, Any]) -> int | None:
    program = document.get("program")
    if program is None:
        return None
    if (
        isinstance(program, bool)
        or not isinstance(program, int)
        or not 0 <= program < PROGRAM_COUNT
    ):
        raise RigError(f"{place}: program is {program!r}, expected a whole number from 0 to 127.")
    return program


def _chain(place: str, document: Mapping[str, Any]) -> tuple[RigBlock, ...]:
    chain = document.get("chain")
    if chain is None:
        return ()
    if not isinstance(chain, list):
        raise RigError(
            f"{place}: chain is {_kind(chain)}, expected a list such as '- amp: {{model: ts9}}'."
        )
    if len(chain) > MAX_BLOCKS:
        raise RigError(f"{place}: chain has {len(chain)} blocks, expected at most {MAX_BLOCKS}.")
    blocks = tuple(_block(place, number, entry) for number, entry in enumerate(chain, 1))
    names = [block.name for block in blocks]
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise RigError(
                f"{place}: chain entry {number}: block {name} stands twice; "
                f"number the second one, such as {name.rstrip('0123456789')}2."
            )
    return blocks


def _block(place: str, number: int, entry: Any) -> RigBlock:
    where = f"{place}: chain entry {number}"
    if not isinstance(entry, dict) or len(entry) != 1:
        raise RigError(f"{where}: holds {_kind(entry)}, expected one block such as 'gain: {{}}'.")
    ((name, body),) = entry.items()
    form = BLOCK_NAME.fullmatch(name) if isinstance(name, str) else None
    if form is None:
        raise RigError(f"{where}: {name!r} is no block name, expected such as amp or amp2.")
    values = dict(_mapping(place, f"chain entry {number} ({name})", body, None))
    inside = f"{where} ({name})"
    model = values.pop("model", "")
    if model != "":
        _check_model(f"{inside}: model", model)
    family = _family(inside, values.pop("models")) if "models" in values else {}
    if model and family:
        raise RigError(f"{inside}: has both model and models, expected one of them.")
    numbers = {key: _number(f"{inside}: {key}", value) for key, value in values.items()}
    return RigBlock(form.group(1), name, numbers, model, family)


def _family(inside: str, entry: Any) -> dict[float, str]:
    """The captures of one amp, by the position of the knob at which each was taken."""
    if not isinstance(entry, dict) or len(entry) not in FAMILY_SIZES:
        found = f"{len(entry)} models" if isinstance(entry, dict) else _kind(entry)
        raise RigError(
            f"{inside}: models is {found}, expected {FAMILY_SIZES[0]} to {FAMILY_SIZES[-1]} "
            f"positions of the knob and a model for each, such as {{0: champ_g00, 5: champ_g05}}."
        )
    family: dict[float, str] = {}
    before = -math.inf
    for key, model in entry.items():
        at = _number(f"{inside}: models: position", key)
        if at <= before:
            raise RigError(
                f"{inside}: models: position {at:g} comes behind {before:g}, "
                f"expected rising positions."
            )
        _check_model(f"{inside}: models: {at:g}", model)
        family[at] = model
        before = at
    return family


def _check_model(where: str, model: Any) -> None:
    if not isinstance(model, str) or not is_name(model):
        raise RigError(
            f"{where} is {model!r}, expected a name in the library: "
            f"1 to 64 of A-Z a-z 0-9 . _ -, never a path."
        )


def _mapping(
    place: str, where: str, value: Any, allowed: tuple[str, ...] | None
) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RigError(f"{place}: {where} is {_kind(value)}, expected such as {{gain_db: 0}}.")
    _check_keys(place, where, value, allowed)
    return value


def _check_keys(
    place: str, where: str, value: Mapping[Any, Any], allowed: tuple[str, ...] | None
) -> None:
    for key in value:
        if allowed is not None and key not in allowed:
            raise RigError(
                f"{place}: {where + ': ' if where else ''}key {key!r} is unknown, "
                f"expected one of {', '.join(allowed)}."
            )
        if not isinstance(key, str) or not PARAM_NAME.fullmatch(key):
            raise RigError(f"{place}: {where}: key {key!r} is no param name such as gain_db.")


def _number(where: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    shown = repr(value)
    raise RigError(f"{where} is {shown[:40]}, expected a finite number.")


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "a text", type(None): "nothing"}
    return names.get(type(value), repr(value)[:40])
