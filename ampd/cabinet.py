"""Impulse responses of cabinets: a sound file -> the samples that the engine's cab is built of.

Only the first second is read: the engine keeps 200 ms of it.  A file is taken as hostile, and what
is no response of a loudspeaker is refused in a sentence.  All functions block on the disk.
"""

import io
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampd.errors import AudioFileError

MAX_BYTES = 32 * 1024 * 1024
MAX_SECONDS = 10
READ_SECONDS = 1
MAX_CHANNELS = 2
MIN_RATE_HZ, MAX_RATE_HZ = 8000, 192000
FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "AIFF")


@dataclass(frozen=True)
class Impulse:
    """The answer of a cabinet to one click, as it stands in its file."""

    name: str  # the file, for errors
    sample_rate_hz: int
    channels: NDArray[np.float32]  # (1 or 2 channels, frames), at most a second, finite


def read_impulse(path: Path) -> Impulse:
    """Read and check the file `path`. Raises AudioFileError: file, found, expected."""
    try:
        status = path.stat()
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be read ({error.strerror}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise AudioFileError(f"{path}: is no file, expected a WAV, FLAC or AIFF.")
    if status.st_size > MAX_BYTES:
        raise AudioFileError(
            f"{path}: the file has {status.st_size / 1e6:.0f} MB, expected at most "
            f"{MAX_BYTES // 1024**2} MB of impulse response."
        )
    return _read_sound(path, path)


def parse_impulse(path: Path, data: bytes) -> Impulse:
    """The same of a file that was read. path: what errors call it. Raises AudioFileError."""
    return _read_sound(path, io.BytesIO(data))


def _read_sound(path: Path, source: Path | io.BytesIO) -> Impulse:
    try:
        with soundfile.SoundFile(source) as file:
            _check_form(path, file)
            frames = min(file.frames, READ_SECONDS * file.samplerate)
            data = file.read(frames, dtype="float32", always_2d=True)
            rate_hz = int(file.samplerate)
    except (OSError, RuntimeError, TypeError) as error:  # TypeError: NAME.raw says no format
        raise AudioFileError(
            f"{path}: cannot be read as sound ({error}); expected WAV, FLAC or AIFF."
        ) from error
    _check_sound(path, data)
    return Impulse(str(path), rate_hz, np.ascontiguousarray(data.T))


def _check_form(path: Path, file: soundfile.SoundFile) -> None:
    if file.format not in FORMATS:
        raise AudioFileError(f"{path}: is {file.format}, expected WAV, FLAC or AIFF.")
    if file.channels > MAX_CHANNELS:
        raise AudioFileError(
            f"{path}: has {file.channels} channels, expected one, or left and right."
        )
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        raise AudioFileError(
            f"{path}: has a rate of {file.samplerate} Hz, "
            f"expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz."
        )
    if file.frames > MAX_SECONDS * file.samplerate:
        raise AudioFileError(
            f"{path}: lasts {file.frames / file.samplerate:.1f} s, expected at most "
            f"{MAX_SECONDS} s; an impulse response is a click and what the cabinet makes of it."
        )


def _check_sound(path: Path, data: NDArray[np.float32]) -> None:
    if not len(data):
        raise AudioFileError(f"{path}: holds no sound, expected at least one frame.")
    if not np.isfinite(data).all():
        raise AudioFileError(f"{path}: holds a sample that is no finite number; export it again.")
    if not data.any():
        raise AudioFileError(f"{path}: is silent, expected a click and what follows it.")
