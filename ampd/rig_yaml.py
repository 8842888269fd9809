"""Bounded YAML: bytes -> plain values, and the line that each of them stands in.

Rigs, sets and the player's MIDI map are read here.  A file is taken as hostile: at most 256 kB, at
most 16 levels, no word or number of more than 500 characters, one document, and no anchors,
aliases, tags, merge keys or doubled keys, which is what turns a small YAML file into a large
document.  All errors are RigError: file, line, what was found, what is expected.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from ampd.errors import RigError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_SCALAR = 500  # characters of one word, text or number
SHOWN = 40  # characters of a value that an error repeats

# libyaml where PyYAML was built with it, else the same reader in Python.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Place: TypeAlias = tuple[str | int, ...]  # keys as text, places in a list from 0: ("chain", 0)


@dataclass(frozen=True)
class Document:
    """What a file holds. Thread: any."""

    file: str
    value: Any
    lines: Mapping[Place, int]

    def at(self, *path: str | int) -> str:
        """FILE:LINE of the value at `path`, of what it lies in where it has none; the start of an
        error."""
        for length in range(len(path), 0, -1):
            if line := self.lines.get(path[:length]):
                return f"{self.file}:{line}"
        return self.file


def read_yaml(data: bytes, place: str) -> Any:
    """The values alone; `place` is the file's name in errors. Raises RigError."""
    return read_document(data, place).value


def read_document(data: bytes, place: str) -> Document:
    """The values in the bytes of a file; None for an empty one. Raises RigError."""
    if len(data) > MAX_BYTES:
        raise RigError(f"{place}: the file is larger than {MAX_BYTES // 1024} kB.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RigError(f"{place}: byte {error.start} is not UTF-8 text.") from error
    try:
        lines = _walk(text, place)
        return Document(place, yaml.load(text, Loader=_Loader), lines)  # noqa: S506 (a safe loader)
    except yaml.MarkedYAMLError as error:
        line = getattr(error.problem_mark or error.context_mark, "line", 0) + 1
        what = error.problem or error.context
        raise RigError(f"{place}:{line}: not YAML: {what}.") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise RigError(f"{place}: not YAML: {' '.join(str(error).split())}.") from error


def as_mapping(
    document: Document, path: Place, what: str, allowed: tuple[str, ...], example: str
) -> Mapping[str, Any]:
    """The mapping at the top (path ()) or at `path`, {} where there is nothing; its keys are among
    `allowed`. Raises RigError."""
    value = document.value
    for key in path:
        value = (value or {}).get(key)
    label = f"{what}: " if path else ""
    if value is None:
        return {}
    if not isinstance(value, dict):
        verb = "is" if path else "holds"
        found = f"{what} {verb}" if path else verb
        raise RigError(f"{document.at(*path)}: {found} {describe(value)}, expected {example}.")
    for key in value:
        if key not in allowed:
            raise RigError(
                f"{document.at(*path, str(key))}: {label}key {describe(key)} is unknown, "
                f"expected one of {', '.join(allowed)}."
            )
    return value


def as_list(document: Document, key: str, entry: Any, most: int, example: str) -> list[Any]:
    """The list under the top key `key`, [] where there is nothing. Raises RigError."""
    if entry is None:
        return []
    if not isinstance(entry, list):
        raise RigError(
            f"{document.at(key)}: {key} is {describe(entry)}, expected a list such as '{example}'."
        )
    if len(entry) > most:
        raise RigError(
            f"{document.at(key)}: {key} has {len(entry)} entries, expected at most {most}."
        )
    return entry


def number(where: str, value: Any, switch: bool = False) -> float:
    """A finite number; with `switch` true and false are 1 and 0. Raises RigError."""
    if isinstance(value, int | float) and (switch or not isinstance(value, bool)):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if math.isfinite(found):
            return found
    more = ", true or false" if switch else ""
    raise RigError(f"{where} is {describe(value)}, expected a finite number{more}.")


def whole(where: str, value: Any, low: int, high: int) -> int:
    """A whole number from `low` to `high`. Raises RigError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RigError(
            f"{where} is {describe(value)}, expected a whole number from {low} to {high}."
        )
    return value


def describe(value: Any) -> str:
    """A value in an error: short, and a collection by its name."""
    names = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return names.get(type(value), repr(value)[:SHOWN])


def choices(names: Sequence[str]) -> str:
    """The end of a sentence about a name that is not there."""
    return f"; there is {', '.join(names)}" if names else ""


def _walk(text: str, place: str) -> dict[Place, int]:
    """Refuse tricks, and note the line of every value, from the events: they cost memory linear in
    the file, and nothing has been built of them yet."""
    lines: dict[Place, int] = {}
    levels: list[_Level] = []
    documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        documents += isinstance(event, yaml.DocumentStartEvent)
        if isinstance(event, yaml.CollectionEndEvent):
            levels.pop()
        if isinstance(event, yaml.NodeEvent):
            line = _line_of(event)
            where = f"{place}:{line}"
            _refuse_marks(event, where)
            path = levels[-1].take(event, where) if levels else ()
            lines.setdefault(path, line)
            if isinstance(event, yaml.CollectionStartEvent):
                if len(levels) >= MAX_DEPTH:
                    raise RigError(f"{where}: nested deeper than {MAX_DEPTH} levels.")
                levels.append(_Level(path, isinstance(event, yaml.MappingStartEvent)))
    if documents > 1:
        raise RigError(f"{place}: holds {documents} YAML documents, expected one.")
    return lines


def _line_of(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


def _refuse_marks(event: Any, where: str) -> None:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise RigError(f"{where}: anchors and aliases (& *) are not allowed; write it out.")
    if event.tag is not None:
        raise RigError(f"{where}: tags (!) are not allowed; write a plain value.")
    if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
        found = f"a value of {len(event.value)} characters"
        raise RigError(f"{where}: {found}, expected at most {MAX_SCALAR}.")


class _Level:
    """One open list or mapping of the YAML; a mapping's children are key, value, key, value."""

    def __init__(self, path: Place, is_mapping: bool) -> None:
        self._path = path
        self._is_mapping = is_mapping
        self._keys: set[str | float] = set()
        self._key = ""
        self._taken = 0

    def take(self, event: Any, where: str) -> Place:
        """A child of this level begins: its path; a key has that of its value. Raises RigError for
        a key that is not allowed."""
        index = self._taken
        self._taken += 1
        if not self._is_mapping:
            return (*self._path, index)
        if index % 2 == 0:
            _check_key(event, self._keys, where)
            self._key = event.value
        return (*self._path, self._key)


def _check_key(event: Any, keys: set[str | float], where: str) -> None:
    if not isinstance(event, yaml.ScalarEvent):
        raise RigError(f"{where}: a key is a list or mapping, expected a word.")
    if event.value == "<<":
        raise RigError(f"{where}: merge keys (<<) are not allowed; write it out.")
    key = _as_read(event.value)
    if key in keys:
        raise RigError(f"{where}: key {event.value} stands twice; remove one.")
    keys.add(key)


def _as_read(key: str) -> str | float:
    """5 and 5.0 are one key once they are read, and the second would silently win."""
    try:
        number = float(key)
    except ValueError:
        return key
    return number if math.isfinite(number) else key
