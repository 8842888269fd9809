"""One execution each of the readers in Python: OSC packets, rigs, the state file, ampd.toml.

A reader gives a value, or the project's own error in one sentence that names the file.  Anything
else is a finding: another exception, more than a second of processor time, more than 256 MB.
"""

import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ampd.command import parse
from ampd.config import load_config
from ampd.control.packet import MAX_DATAGRAM, Deframer, PacketError, decode, encode, frame, unpack
from ampd.errors import AmpdError, CommandError, ConfigError, RigError, StateError
from ampd.kept import decode as decode_state
from ampd.kept import encode as encode_state
from ampd.kept import sealed
from ampd.midi_file import parse_map
from ampd.rig import Rig, parse_rig, to_yaml
from ampd.sets import parse_set

MOST_SECONDS = 1.0
MOST_KB = 256 * 1024
LONGEST_SENTENCE = 2000
ROOT = "/ampd/"
FILE = Path("fuzz.file")


class FindingError(Exception):
    """The reader did what it must not; the message says what."""


def run(reader: Callable[[bytes], None], data: bytes) -> None:
    """One execution within its limits. Raises FindingError, or what the reader let out."""
    began_s = time.thread_time()
    reader(data)
    if time.thread_time() - began_s > MOST_SECONDS:
        raise FindingError(f"one input took more than {MOST_SECONDS:g} s")
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST_KB:
        raise FindingError(f"more than {MOST_KB} kB of memory")


def expect(holds: bool, claim: str) -> None:
    if not holds:
        raise FindingError(claim)


def check_sentence(error: AmpdError, file: str) -> None:
    """One sentence that begins with the file's name and fits into a line of a log."""
    text = str(error)
    expect(text.startswith(f"{file}:"), f"the error does not name the file: {text[:200]!r}")
    expect(text.endswith("."), f"the error is no sentence: {text[-200:]!r}")
    expect("\n" not in text, f"the error has more than one line: {text[:200]!r}")
    expect(len(text) <= LONGEST_SENTENCE, f"the error has {len(text)} characters: {text[:200]!r}")


# --- OSC ----------------------------------------------------------------------------------------


def osc(data: bytes) -> None:
    """The bytes as a datagram, and as a stream of TCP."""
    try:
        for message in unpack(data):
            _message(message)
    except PacketError as error:
        expect(len(str(error)) <= LONGEST_SENTENCE, "the error is too long for an answer")
    whole, parts = (_deframed(cut) for cut in ([data], _cut(data)))
    # A packet that cannot be ends the stream, and what stands behind it in one piece.
    expect(parts[: len(whole)] == whole, "a stream depends on how it is cut")
    if 0 < len(data) <= MAX_DATAGRAM and len(data) % 4 == 0:
        expect(_deframed([frame(data)]) == [data], "a framed packet does not come out again")


def _message(message: bytes) -> None:
    try:
        address, arguments = decode(message)
    except PacketError as error:
        expect(error.address == "" or error.address.startswith("/"), "an address that is none")
        return
    tags = message[message.find(b"\0") :].lstrip(b"\0")[:1]
    exact = all(type(each) is not float or math.isfinite(each) for each in arguments)
    if tags and exact and not set(_tags(message)) & set(b"dh"):
        expect(encode(address, arguments) == message, "a message is not what encode writes")
    try:
        parse(address.removeprefix(ROOT), arguments)
    except CommandError as error:
        expect(len(str(error)) <= LONGEST_SENTENCE, "the error is too long for an answer")


def _tags(message: bytes) -> bytes:
    start = message.find(b",", message.find(b"\0"))
    return message[start : message.find(b"\0", start)]


def _cut(data: bytes) -> list[bytes]:
    """Three pieces, of which the first ends within a size."""
    return [data[:3], data[3 : len(data) // 2], data[max(3, len(data) // 2) :]]


def _deframed(pieces: Sequence[bytes]) -> list[bytes]:
    stream, packets = Deframer(), []
    for piece in pieces:
        try:
            packets += stream.feed(piece)
        except PacketError:
            break
    return packets


# --- files --------------------------------------------------------------------------------------


def rig(data: bytes) -> None:
    """The bytes as a rig, a set, and the player's MIDI map."""
    try:
        found = parse_rig(data, FILE.stem, FILE)
    except RigError as error:
        check_sentence(error, str(FILE))
    else:
        _check_written(found)
    try:
        parse_set(data, FILE.stem, FILE)
    except RigError as error:
        check_sentence(error, str(FILE))
    try:
        parse_map(data, FILE)
    except ConfigError as error:
        check_sentence(error, str(FILE))


def _check_written(found: Rig) -> None:
    again = parse_rig(to_yaml(found).encode(), FILE.stem, FILE)
    expect(again == found, "a rig that is written reads back as another one")


def state(data: bytes) -> None:
    """The bytes as a state file, and behind a checksum that is right."""
    for content in (data, sealed(data)):
        try:
            kept = decode_state(content)
        except StateError as error:
            expect(len(str(error)) <= LONGEST_SENTENCE, "the error is too long for a log")
            expect("\n" not in str(error), "the error has more than one line")
        else:
            expect(decode_state(encode_state(kept)) == kept, "a state is kept as another one")


def toml(data: bytes) -> None:
    """The bytes as an ampd.toml."""
    path = _scratch() / "ampd.toml"
    path.write_bytes(data)
    try:
        load_config(path)
    except ConfigError as error:
        check_sentence(error, str(path))


_folders: list[tempfile.TemporaryDirectory[str]] = []


def _scratch() -> Path:
    """A folder in memory, where there is one, until the process ends."""
    if not _folders:
        memory = Path("/dev/shm")
        _folders.append(tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None))
    return Path(_folders[0].name)


READERS: dict[str, Callable[[bytes], None]] = {
    "osc": osc,
    "rig": rig,
    "state": state,
    "toml": toml,
}

if sys.flags.optimize:
    raise RuntimeError("assertions of the readers count: run without -O")
