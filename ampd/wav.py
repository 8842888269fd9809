"""Plain WAV files, read without numpy: what most impulse responses are.

Only what is beyond doubt is read here; for everything else the answer is None, and ampd.cabinet
reads it, or says what is wrong with it.
"""

import math
import struct
from array import array
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024
MIN_RATE_HZ, MAX_RATE_HZ = 8000, 192000
PCM, FLOAT = 1, 3
FULL_SCALE = {16: 2.0**15, 24: 2.0**31, 32: 2.0**31}  # 24 bits are read as the upper ones of 32


@dataclass(frozen=True)
class Samples:
    """The beginning of a sound file; channels: (channels, frames), float32, 1 is full scale."""

    sample_rate_hz: int
    channels: "memoryview[float]"


def read_wav(path: Path, seconds: float, most_seconds: float) -> Samples | None:
    """The same of a file; None for what is none, too. Blocks."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        return parse_wav(path.read_bytes(), seconds, most_seconds)
    except OSError:
        return None


def parse_wav(data: bytes, seconds: float, most_seconds: float) -> Samples | None:
    """The first so many seconds of a WAV of one or two channels, at most `most_seconds` long, that
    is finite and not silent; None for everything else."""
    if len(data) > MAX_BYTES:
        return None
    chunks = _chunks(data)
    form, sound = _form(chunks.get(b"fmt ", b"")), chunks.get(b"data", b"")
    if form is None:
        return None
    tag, count, rate_hz, step, bits = form
    frames = len(sound) // step
    if not frames or len(sound) % step or frames > most_seconds * rate_hz:
        return None
    frames = min(frames, int(seconds * rate_hz))
    samples = _decoded(sound[: frames * step], tag, bits)
    if not any(samples) or not math.isfinite(sum(samples)):
        return None
    flat = array("f")
    for channel in range(count):
        flat += samples[channel::count]
    return Samples(rate_hz, memoryview(flat).cast("B").cast("f", shape=[count, frames]))


def _form(data: bytes) -> tuple[int, int, int, int, int] | None:
    """Coding, channels, rate in Hz, bytes of a frame and bits of a sample; None where another
    reader is asked."""
    if len(data) < 16:
        return None
    tag, count, rate_hz, _, step, bits = struct.unpack_from("<HHIIHH", data)
    is_known = (tag == PCM and bits in FULL_SCALE) or (tag == FLOAT and bits == 32)
    is_whole = count in (1, 2) and step == count * bits // 8
    if not is_known or not is_whole or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        return None
    return tag, count, rate_hz, step, bits


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The parts of a RIFF file by name, each the first of its name; {} where it is none."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return {}
    found: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > len(data):
            return {}
        found.setdefault(name, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return found


def _decoded(sound: bytes, tag: int, bits: int) -> "array[float]":
    if tag == FLOAT:
        return array("f", sound)
    if bits == 24:
        wide = bytearray(len(sound) // 3 * 4)
        for byte in range(3):
            wide[byte + 1 :: 4] = sound[byte::3]
        sound = bytes(wide)
    scale = FULL_SCALE[bits]
    whole = array("h" if bits == 16 else "i", sound)
    return array("f", [value / scale for value in whole])
