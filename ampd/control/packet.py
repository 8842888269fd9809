"""OSC 1.0 on the wire: messages <-> bytes, bundles opened, and packets of a TCP stream.

A message counts only if its bytes are exactly what encode() would write for it: nothing is padded,
guessed or left over.  Type tags i f h d s T F.  Bundles are at most 4 levels deep, every size in
them positive and a multiple of 4; their time tags are ignored.

Source: Open Sound Control 1.0 specification, opensoundcontrol.org; over TCP each packet stands
behind its size, an int32.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:  # clients start quicker without the rigs behind it
    from typing import TypeAlias

    from ampd.command import Value

MAX_DATAGRAM = 65507
MAX_ADDRESS = 255
MAX_ARGUMENTS = 256
MAX_LEVELS = 4
MAX_MESSAGES = 256  # in one bundle
BUNDLE = b"#bundle\0"
SIZE_BYTES = 4
NUMBERS = {"i": struct.Struct(">i"), "f": struct.Struct(">f")}
NUMBERS |= {"h": struct.Struct(">q"), "d": struct.Struct(">d")}
INT32 = range(-(2**31), 2**31)


class PacketError(Exception):
    """A packet is not OSC as this server takes it. address is "" where none could be read."""

    def __init__(self, text: str, address: str = "") -> None:
        super().__init__(text)
        self.address = address


def encode(address: str, arguments: Sequence[Value | int] = ()) -> bytes:
    """One OSC message: bool -> T F, int -> i (h beyond 32 bits), float -> f, str -> s."""
    tags, data = ",", b""
    for argument in arguments:
        tag, raw = _encode_argument(argument)
        tags += tag
        data += raw
    return _padded(address.encode("ascii")) + _padded(tags.encode("ascii")) + data


def _encode_argument(argument: Value | int) -> tuple[str, bytes]:
    match argument:
        case bool():
            return ("T" if argument else "F"), b""
        case int():
            tag = "i" if argument in INT32 else "h"
            return tag, NUMBERS[tag].pack(argument)
        case float():
            return "f", NUMBERS["f"].pack(argument)
    return "s", _padded(argument.encode("utf-8"))


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (4 - len(text) % 4)


def unpack(data: bytes) -> list[bytes]:
    """The messages of a packet, bundles opened. Raises PacketError: then none of them counts."""
    if not data or len(data) > MAX_DATAGRAM:
        raise PacketError(f"found {len(data)} bytes, expected 1 to {MAX_DATAGRAM}")
    if not data.startswith(BUNDLE):
        return [data]
    messages = list(_open_bundle(data, 0))
    if len(messages) > MAX_MESSAGES:
        raise PacketError(f"found {len(messages)} messages, expected at most {MAX_MESSAGES}")
    return messages


def _open_bundle(data: bytes, level: int) -> Iterator[bytes]:
    if not data.startswith(BUNDLE):
        yield data
        return
    if level >= MAX_LEVELS:
        raise PacketError(f"bundles nested deeper than {MAX_LEVELS}")
    place = len(BUNDLE) + 8
    if len(data) < place:
        raise PacketError("a bundle without its time tag")
    while place < len(data):
        if len(data) - place < SIZE_BYTES:
            raise PacketError("a bundle with bytes left over")
        (size,) = struct.unpack_from(">i", data, place)
        place += SIZE_BYTES
        if size <= 0 or size % 4 or size > len(data) - place:
            raise PacketError(f"a bundle element of {size} bytes")
        yield from _open_bundle(data[place : place + size], level + 1)
        place += size


def decode(message: bytes) -> tuple[str, list[Value | int]]:
    """Address and arguments of one message. Raises PacketError."""
    end = message.find(b"\0")
    if not message.startswith(b"/") or not 0 < end <= MAX_ADDRESS or len(message) % 4:
        raise PacketError("no OSC address")
    try:
        address = message[:end].decode("ascii")
    except UnicodeDecodeError:
        raise PacketError("an address that is not ASCII") from None
    if not address.isprintable() or " " in address:
        raise PacketError("an address with characters that OSC does not have")
    place = _text_end(message, 0, end, address)
    if place == len(message):
        # Old clients leave the type tags out where there are no arguments.
        return address, []
    end = message.find(b"\0", place)
    tags = message[place:end].decode("ascii", "replace")
    if end < 0 or not tags.startswith(",") or not READERS.keys() >= set(tags[1:]):
        raise PacketError(f"found type tags {tags[:32]!r}, expected of , i f h d s T F", address)
    if len(tags) - 1 > MAX_ARGUMENTS:
        raise PacketError(f"found {len(tags) - 1} arguments", address)
    place = _text_end(message, place, end, address)
    arguments: list[Value | int] = []
    for tag in tags[1:]:
        argument, place = READERS[tag](message, place, tag, address)
        arguments.append(argument)
    if place != len(message):
        raise _unfit(address)
    return address, arguments


def _text_end(message: bytes, start: int, end: int, address: str) -> int:
    """Where the padding of the text message[start:end] ends; all of it must be zero."""
    place = start + ((end - start) // 4 + 1) * 4
    if place > len(message) or any(message[end:place]):
        raise _unfit(address)
    return place


def _read_number(message: bytes, place: int, tag: str, address: str) -> tuple[Value | int, int]:
    form = NUMBERS[tag]
    if place + form.size > len(message):
        raise _unfit(address)
    return form.unpack_from(message, place)[0], place + form.size


def _read_text(message: bytes, place: int, _: str, address: str) -> tuple[Value | int, int]:
    end = message.find(b"\0", place)
    if end < 0:
        raise _unfit(address)
    try:
        text = message[place:end].decode("utf-8")
    except UnicodeDecodeError:
        raise _unfit(address) from None
    return text, _text_end(message, place, end, address)


def _read_truth(_: bytes, place: int, tag: str, __: str) -> tuple[Value | int, int]:
    return tag == "T", place


Reader: TypeAlias = "Callable[[bytes, int, str, str], tuple[Value | int, int]]"
READERS: dict[str, Reader] = {
    **dict.fromkeys("ifhd", _read_number),
    "s": _read_text,
    **dict.fromkeys("TF", _read_truth),
}


def _unfit(address: str) -> PacketError:
    return PacketError("arguments that do not fit their type tags", address)


def frame(packet: bytes) -> bytes:
    """A packet as it goes over TCP, behind its size."""
    return struct.pack(">I", len(packet)) + packet


class Deframer:
    """Packets out of a TCP stream, as its bytes come in."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that are whole now. Raises PacketError: the stream is lost then."""
        self._data += data
        packets = []
        while len(self._data) >= SIZE_BYTES:
            (size,) = struct.unpack_from(">I", self._data)
            if not 0 < size <= MAX_DATAGRAM or size % 4:
                raise PacketError(f"a TCP packet of {size} bytes")
            if len(self._data) < SIZE_BYTES + size:
                break
            packets.append(bytes(self._data[SIZE_BYTES : SIZE_BYTES + size]))
            del self._data[: SIZE_BYTES + size]
        return packets
