"""What a file says of itself, read from its outside: bounded, and without the engine.

A model may have 64 MB of numbers, and what a player looks for stands beside them, so the numbers
are counted as they pass and never kept.  Every file is taken as hostile: what cannot be read is an
entry with its reason.  Whether a model plays is the engine's to say (`ampd check`).

All functions block on the disk.
"""

import json
import math
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from ampd.errors import AmpdError
from ampd.rig import Rig, read_rig

MAX_MODEL_BYTES = 64 * 1024 * 1024
MAX_IMPULSE_BYTES = 32 * 1024 * 1024
MAX_IMPULSE_SECONDS = 10
MAX_CHANNELS = 2
MIN_RATE_HZ, MAX_RATE_HZ = 8000, 768000
CHUNK_BYTES = 64 * 1024
MAX_OUTSIDE_BYTES = 512 * 1024  # of a model, its long lists of numbers left out
MAX_TEXT = 120
MAX_CHUNKS = 64  # of a sound file, before its sound
SHORT_BYTES = 64  # a list of numbers that is shorter is kept as it is
LIST = re.compile(rb'\[[-+0-9.eE,\s"]{%d,}' % SHORT_BYTES)
NUMBERS = re.compile(rb'[-+0-9.eE,\s"]*')
COUNTED = math.inf  # begins a list whose numbers were counted: [1e999, how many]


class _SkimError(Exception):
    """Why a file cannot be told; the text goes behind its name."""


@dataclass(frozen=True)
class Facts:
    """What a file says of itself; "" and 0 where it does not say. reason: why it cannot be used."""

    title: str = ""
    gear: str = ""  # make and model, and what it is: "Fender Champ, amp"
    tone: str = ""  # "clean", "hi_gain"
    author: str = ""
    family: str = ""  # as ModelInfo.family; "wav", "flac", "aiff" of an impulse response
    architecture: str = ""  # as ModelInfo.architecture; of a rig its blocks
    weights: int = 0  # numbers of the net, near to its multiplications a sample
    rate_hz: int = 0
    channels: int = 0
    seconds: float = 0.0
    reason: str = ""


def skim_model(path: Path) -> Facts:
    """What the model file `path` says of itself."""
    return _told(path, MAX_MODEL_BYTES, _read_model)


def skim_impulse(path: Path) -> Facts:
    """What the head of the sound file `path` says."""
    return _told(path, MAX_IMPULSE_BYTES, _read_impulse)


def skim_rig(path: Path) -> Facts:
    """What the rig file `path` holds: its models and impulses as gear, its blocks."""
    try:
        rig = read_rig(path)
    except AmpdError as error:
        return Facts(reason=_text(str(error).removeprefix(f"{path}: ")))
    return Facts(
        gear=_text(" ".join(_played(rig))),
        family="rig",
        architecture=_text(" ".join(block.name for block in rig.blocks)),
    )


def _played(rig: Rig) -> Iterator[str]:
    for block in rig.blocks:
        yield from block.models
        if block.impulse:
            yield block.impulse


def _told(path: Path, most_bytes: int, read: Callable[[BinaryIO], Facts]) -> Facts:
    try:
        # Never waits for what is no file, such as a pipe.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _SkimError("is no file")
            if status.st_size > most_bytes:
                raise _SkimError(
                    f"has {status.st_size / 1e6:.0f} MB, expected at most {most_bytes // 1024**2}"
                )
            return read(file)
    except OSError as error:
        return Facts(reason=f"cannot be read ({error.strerror})")
    except _SkimError as error:
        return Facts(reason=str(error))


# --- models -------------------------------------------------------------------------------------


def _read_model(file: BinaryIO) -> Facts:
    try:
        root = json.loads(outside(file))
    except (ValueError, RecursionError):
        raise _SkimError("is not JSON; it may be cut short") from None
    if not isinstance(root, dict):
        raise _SkimError("is JSON, but no object with the keys of a model")
    for family, keys, count in _FAMILIES:
        if all(key in root for key in keys):
            facts = _metadata(root)
            weights = min(count(root), MAX_MODEL_BYTES)
            if weights == 0 and not facts.reason:
                facts = replace(facts, reason="holds no weights")
            return replace(
                facts, family=family, architecture=_architecture(family, root), weights=weights
            )
    raise _SkimError("has the keys of no kind of model")


def outside(file: BinaryIO) -> bytes:
    """The JSON of `file` with its long lists of numbers replaced by [1e999, how many].

    Raises _SkimError where the rest is longer than MAX_OUTSIDE_BYTES.
    """
    kept, data, counting, commas = bytearray(), b"", False, 0
    while chunk := file.read(CHUNK_BYTES):
        data, at = data + chunk, 0
        while at < len(data):
            if counting:
                numbers = NUMBERS.match(data, at)
                end = numbers.end() if numbers else at
                commas += data.count(b",", at, end)
                at = end
                if at < len(data):
                    kept += b"1e999,%d" % (commas + 1)
                    counting = False
            elif found := LIST.search(data, at):
                kept += data[at : found.start() + 1]
                at, counting, commas = found.start() + 1, True, 0
            else:
                break
        # A list may begin in what ends here.
        keep_from = max(at, len(data) - SHORT_BYTES)
        kept += data[at:keep_from]
        data = data[keep_from:]
        if len(kept) > MAX_OUTSIDE_BYTES:
            raise _SkimError("has over 512 kB beside its numbers")
    return bytes(kept + data)


def _numbers_in(node: Any) -> int:
    """How many numbers lie in the lists of `node`, however deep."""
    if isinstance(node, dict):
        return sum(_numbers_in(value) for value in node.values())
    if not isinstance(node, list):
        return int(isinstance(node, int | float | str))
    if len(node) == 2 and node[0] == COUNTED and isinstance(node[1], int):
        return max(0, node[1])
    return sum(_numbers_in(value) for value in node)


def _nam_weights(node: Any) -> int:
    """Of a net and of those that it is made of."""
    if isinstance(node, list):
        return 0 if node[:1] == [COUNTED] else sum(_nam_weights(value) for value in node)
    if not isinstance(node, dict):
        return 0
    own = _numbers_in(node["weights"]) if isinstance(node.get("weights"), list) else 0
    return own + sum(_nam_weights(node[key]) for key in _NAM_PARTS if key in node)


def _layer_weights(root: dict[str, Any]) -> int:
    layers = root["layers"] if isinstance(root["layers"], list) else []
    return sum(_numbers_in(layer.get("weights")) for layer in layers if isinstance(layer, dict))


def _variable_data(root: dict[str, Any]) -> int:
    every = root["variables"] if isinstance(root["variables"], list) else []
    return sum(_numbers_in(each.get("data")) for each in every if isinstance(each, dict))


_NAM_PARTS = ("config", "condition_dsp", "submodels", "models", "layers", "model")
# As the engine tells them apart: nn/load.cpp.
_FAMILIES: tuple[tuple[str, tuple[str, ...], Callable[[dict[str, Any]], int]], ...] = (
    ("ampd", ("format",), lambda root: _numbers_in(root.get("tensors"))),
    ("nam", ("architecture", "config"), _nam_weights),
    ("rtneural", ("in_shape", "layers"), _layer_weights),
    ("state_dict", ("model_data", "state_dict"), lambda root: _numbers_in(root["state_dict"])),
    ("pedalnet", ("variables", "dilations", "residual_channels"), _variable_data),
)


def _architecture(family: str, root: dict[str, Any]) -> str:
    if family == "pedalnet":
        return "wavenet"
    if family == "rtneural":
        layers = root["layers"] if isinstance(root["layers"], list) else []
        kinds = [layer.get("type") for layer in layers if isinstance(layer, dict)]
        return next((kind for kind in ("lstm", "gru") if kind in kinds), "stack")
    if family == "state_dict":
        data = root["model_data"]
        return _text(data.get("unit_type")).lower() if isinstance(data, dict) else ""
    name = _text(root.get("architecture")).lower()
    return "container" if name == "slimmablecontainer" else name


def _metadata(root: dict[str, Any]) -> Facts:
    found = root.get("metadata")
    said: dict[str, Any] = found if isinstance(found, dict) else {}
    made = " ".join(_text(said.get(key)) for key in ("gear_make", "gear_model")).strip()
    gear = ", ".join(text for text in (made, _text(said.get("gear_type"))) if text)
    rate = root.get("sample_rate", root.get("samplerate", said.get("samplerate")))
    return Facts(
        title=_text(said.get("name")),
        gear=gear[:MAX_TEXT],
        tone=_text(said.get("tone_type")),
        author=_text(said.get("modeled_by")),
        rate_hz=_rate(rate),
    )


def _rate(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return round(value) if MIN_RATE_HZ <= value <= MAX_RATE_HZ else 0


def _text(value: Any) -> str:
    """One line for people: printable, single blanks, not long."""
    if not isinstance(value, str):
        return ""
    words = "".join(c if c.isprintable() else " " for c in value[: 4 * MAX_TEXT]).split()
    return " ".join(words)[:MAX_TEXT]


# --- impulse responses --------------------------------------------------------------------------


def _read_impulse(file: BinaryIO) -> Facts:
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        facts = _wav(file)
    elif head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        facts = _aiff(file)
    elif head[:4] == b"fLaC":
        facts = _flac(file)
    else:
        raise _SkimError("is neither WAV, FLAC nor AIFF")
    if not MIN_RATE_HZ <= facts.rate_hz <= MAX_RATE_HZ:
        raise _SkimError(f"has a rate of {facts.rate_hz} Hz")
    if not 1 <= facts.channels <= MAX_CHANNELS:
        raise _SkimError(f"has {facts.channels} channels, expected one, or left and right")
    if facts.seconds > MAX_IMPULSE_SECONDS:
        raise _SkimError(
            f"lasts {facts.seconds:.1f} s, expected at most {MAX_IMPULSE_SECONDS} s of a click"
        )
    if facts.seconds <= 0:
        raise _SkimError("holds no sound")
    return facts


def _chunks(file: BinaryIO, order: str) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, size and first 64 bytes of each chunk of a RIFF or AIFF file."""
    at = 12
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], struct.unpack(f"{order}I", head[4:])[0]
        yield name, size, file.read(min(size, 64))
        at += 8 + size + size % 2


def _wav(file: BinaryIO) -> Facts:
    form = None
    length = os.fstat(file.fileno()).st_size
    for name, size, body in _chunks(file, "<"):
        if name == b"fmt " and len(body) >= 16:
            form = struct.unpack("<HHIIHH", body[:16])
        elif name == b"data" and form is not None:
            _, channels, rate_hz, _, frame_bytes, _ = form
            seconds = min(size, length) / max(1, frame_bytes * rate_hz)
            return Facts(family="wav", rate_hz=rate_hz, channels=channels, seconds=seconds)
    raise _SkimError("is a WAV without a sound; it may be cut short")


def _aiff(file: BinaryIO) -> Facts:
    for name, _, body in _chunks(file, ">"):
        if name == b"COMM" and len(body) >= 18:
            channels, frames, _, power, mantissa = struct.unpack(">hIhHQ", body[:18])
            exponent = (power & 0x7FFF) - 16383 - 63
            if not -64 <= exponent <= 0:
                raise _SkimError("has a rate that is no rate")
            rate_hz = round(mantissa * 2.0**exponent)
            seconds = frames / max(1, rate_hz)
            return Facts(family="aiff", rate_hz=rate_hz, channels=channels, seconds=seconds)
    raise _SkimError("is an AIFF without a sound; it may be cut short")


def _flac(file: BinaryIO) -> Facts:
    file.seek(8)
    head = file.read(18)
    if len(head) < 18:
        raise _SkimError("is a FLAC without a head; it is cut short")
    bits = int.from_bytes(head[10:18], "big")
    rate_hz, channels, frames = bits >> 44, (bits >> 41 & 7) + 1, bits & (1 << 36) - 1
    seconds = frames / max(1, rate_hz)
    return Facts(family="flac", rate_hz=rate_hz, channels=channels, seconds=seconds)
