"""What a host keeps of the plugin, made and taken apart in Python: written from plugin/README.md.

A state is the plugin's own bytes (source/state.hpp).  A VST3 host has them from JUCE inside an XML
text, in JUCE's own base 64; pedalboard shows that as `raw_state`.
"""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1
MAGIC = b"ampd"
HEAD = struct.Struct("<I4sQI")  # version, magic, bytes in all, bytes of the text
DIGEST_BYTES = 32
LETTERS = ".ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+"
FRAME = (
    '<?xml version="1.0" encoding="UTF-8"?> '
    "<VST3PluginState><IComponent>{}</IComponent></VST3PluginState>"
)


@dataclass(frozen=True)
class Part:
    """A block of the setting and the files that it plays."""

    kind: str
    files: Sequence[Path] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    own: bool = False


def state_of(parts: Sequence[Part], values: Mapping[str, float], **more: Any) -> bytes:
    """The bytes of a state with these parts, every file embedded."""
    blobs: list[bytes] = []

    def file(path: Path) -> dict[str, Any]:
        data = path.read_bytes()
        blobs.append(zlib.compress(data))
        return {
            "name": path.name,
            "path": str(path),
            "from_home": "",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
            "packed": len(blobs[-1]),
        }

    text = {
        "values": dict(values),
        "name": "",
        "notes": "",
        "reference": {},
        "parts": [
            {
                "kind": part.kind,
                "name": part.kind,
                "beside": "",
                "own": part.own,
                "values": dict(part.values),
                "family": [],
                "files": [file(path) for path in part.files],
            }
            for part in parts
        ],
        **more,
    }
    return seal(json.dumps(text).encode(), blobs)


def seal(text: bytes, blobs: Sequence[bytes], version: int = VERSION) -> bytes:
    """Head, text, files and the sum over all."""
    body = text + b"".join(blobs)
    state = HEAD.pack(version, MAGIC, HEAD.size + len(body) + DIGEST_BYTES, len(text)) + body
    return state + hashlib.sha256(state).digest()


def model_state(model: Path, impulse: Path | None = None, **values: float) -> bytes:
    """The state after `model`, and the impulse where there is one, were dropped on the window."""
    cab = Part("cab", [impulse] if impulse else [], own=True)
    values.setdefault("cab", 1.0 if impulse else 0.0)
    return state_of([Part("gate", own=True), Part("amp", [model]), cab], values)


def text_of(state: bytes) -> dict[str, Any]:
    """The JSON in a state."""
    size = HEAD.unpack_from(state)[3]
    text: dict[str, Any] = json.loads(state[HEAD.size : HEAD.size + size])
    return text


def frame(state: bytes) -> bytes:
    """The state as a VST3 host has it from JUCE."""
    xml = FRAME.format(to_base64(state)).encode()
    return b"VC2!" + struct.pack("<I", len(xml)) + xml + b"\0"


def unframe(raw: bytes) -> bytes:
    """The state in what a VST3 host has."""
    found = re.search(rb"<IComponent>([^<]*)</IComponent>", raw)
    assert found, raw[:200]
    return from_base64(found[1].decode())


def to_base64(data: bytes) -> str:
    """JUCE's MemoryBlock::toBase64Encoding: six bits a letter, lowest first."""
    number = int.from_bytes(data, "little")
    bits = format(number, f"0{len(data) * 8}b")[::-1] if data else ""
    letters = [LETTERS[int(bits[at : at + 6][::-1], 2)] for at in range(0, len(bits), 6)]
    return f"{len(data)}." + "".join(letters)


def from_base64(text: str) -> bytes:
    """The other way."""
    size, _, letters = text.partition(".")
    bits = "".join(format(LETTERS.index(letter), "06b")[::-1] for letter in letters)
    number = int(bits[::-1], 2) if bits else 0
    return (number & ((1 << int(size) * 8) - 1)).to_bytes(int(size), "little")
