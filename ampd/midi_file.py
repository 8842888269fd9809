"""The player's own MIDI map on disk, midi.yaml: read, and changed without losing what is there.

The command line alone writes it; the daemon reads it.  A change is made in the text, so that
comments and layout stay; where the text is laid out so that this cannot be done (a list in one
line), the file is written anew under its first comment.  Writing is atomic: the old file or the
new one, whenever the power goes.  All functions block on the disk.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from ampd.errors import ConfigError, RigError
from ampd.midi import Binding, parse_bindings, to_document
from ampd.rig_yaml import MAX_BYTES, read_yaml

KEY = "bindings"
HEADER = """\
# Your own MIDI map: which controller turns what, in every rig. `ampd learn PATH` adds a line,
# `ampd learn --forget PATH` takes one away, `ampd learn --list` shows what is in force. The daemon
# reads the file whenever it changes. A controller bound here is no longer the profile's; a rig's
# own `midi:` stands over both.
#
#   - {control: 11, path: delay/mix, low: 0, high: 0.5}         a pedal, over half the range
#   - {control: 80, path: delay/bypass, mode: toggle, channel: 2}   a switch, on one channel
#   - {control: 81, path: rig/next, leds: [0, 127]}             an action
#
# mode: absolute toggle momentary trigger relative 14bit; curve: linear slow fast smooth
"""


def read_map(path: Path) -> tuple[Binding, ...]:
    """The bindings in `path`, none where there is no such file. Raises ConfigError."""
    return parse_map(_read(path), path)


def add_binding(path: Path, binding: Binding) -> tuple[Binding, ...]:
    """Put `binding` into the file, which is made where there is none. Raises ConfigError.

    Returns what gave way to it: what its controller did before, and what moved its path.
    """
    gone = tuple(b for b in read_map(path) if b.path == binding.path or b.meets(binding))
    _change(path, lambda b: b in gone, (binding,))
    return gone


def forget(path: Path, what: str) -> tuple[Binding, ...]:
    """Take the bindings of a path, or of a controller's number, out. Raises ConfigError."""
    number = int(what) if what.isascii() and what.isdigit() else None
    known = read_map(path)
    gone = tuple(b for b in known if b.path == what or b.control == number)
    if not gone:
        there = ", ".join(f"{b.control} {b.path}" for b in known) or "nothing"
        raise ConfigError(f"{path}: {what} is not bound there; it binds {there}.")
    _change(path, lambda b: b in gone, ())
    return gone


def _change(path: Path, goes: Callable[[Binding], bool], comes: Sequence[Binding]) -> None:
    data = _read(path)
    before = parse_map(data, path)
    after = (*(b for b in before if not goes(b)), *comes)
    text = data.decode("utf-8") or HEADER
    edited = _edit(text, [n for n, b in enumerate(before) if goes(b)], comes)
    if not _says(edited, after):
        edited = _head(text) + _block(after)
    # More than a file may hold must not be found out by the daemon.
    parse_map(edited.encode(), path)
    _write(path, edited)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error


def parse_map(data: bytes, path: Path) -> tuple[Binding, ...]:
    """The bindings in the bytes of a map. Raises ConfigError."""
    try:
        document = read_yaml(data, str(path))
    except RigError as error:
        raise ConfigError(str(error)) from error
    if document is None:
        return ()
    if not isinstance(document, dict) or [*document] != [KEY]:
        raise ConfigError(f"{path}: expected one key, {KEY}, and a list under it.")
    try:
        return parse_bindings(document[KEY])
    except ValueError as error:
        raise ConfigError(f"{path}: {KEY}: {error}.") from error


def _says(text: str, bindings: tuple[Binding, ...]) -> bool:
    try:
        return parse_map(text.encode(), Path()) == bindings
    except ConfigError:
        return False


def _edit(text: str, gone: Iterable[int], comes: Sequence[Binding]) -> str:
    """`text` without the entries of these places, and with new lines behind the last one."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        return "".join(lines) + _block(comes)
    ((key, entries),) = root.value
    # Where a node ends is where the next token begins: comments between are not the entry's.
    starts = [entry.start_mark.line for entry in entries.value] if entries.value else []
    ends = [_last_line(entry) + 1 for entry in entries.value] if entries.value else []
    place = ends[-1] if ends else key.end_mark.line + 1
    indent = " " * (entries.start_mark.column if starts else 2)
    lines[place:place] = [f"{indent}- {_line(binding)}\n" for binding in comes]
    for number in sorted(gone, reverse=True):
        del lines[starts[number] : ends[number]]
    return "".join(lines)


def _last_line(node: Any) -> int:
    """The line on which the last character of the node stands."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        line: int = node.end_mark.line
        return line
    return max(_last_line(part) for pair in node.value for part in _parts(pair))


def _parts(pair: Any) -> tuple[Any, ...]:
    return pair if isinstance(pair, tuple) else (pair,)


def _head(text: str) -> str:
    """The comment at the top of the file, which is the player's own or the one that teaches."""
    lines = []
    for line in text.splitlines(keepends=True):
        if not line.startswith("#") and line.strip():
            break
        lines.append(line)
    return "".join(lines) or HEADER


def _block(bindings: Iterable[Binding]) -> str:
    return f"{KEY}:\n" + "".join(f"  - {_line(binding)}\n" for binding in bindings)


def _line(binding: Binding) -> str:
    text: str = yaml.safe_dump(
        to_document(binding), default_flow_style=True, sort_keys=False, width=10_000
    )
    return text.strip()


def _write(path: Path, text: str) -> None:
    """Through a link to the file itself, whose rights it keeps."""
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        rights = target.stat().st_mode & 0o777 if target.exists() else 0o644
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            try:
                file.write(text.encode())
                file.flush()
                os.fchmod(file.fileno(), rights)
                os.fsync(file.fileno())
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}).") from error
