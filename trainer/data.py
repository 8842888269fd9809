"""Recordings -> checked, aligned, divided tensors."""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.errors import DataError
from trainer.files import sha256_file
from trainer.networks import Network, padded_slice
from trainer.recipe import DataConfig, Frames, Recipe

# -18 dBFS RMS: full-scale guitar then stays within a few units, where tanh nets start well.
NORMAL_RMS = 10 ** (-18 / 20)
SILENCE_PEAK = 1e-4  # -80 dBFS; below it a split holds hiss, not playing
CLIP_RUN_FRAMES = 3  # this many neighbours at full scale are a flat top, not a peak


@dataclasses.dataclass(frozen=True)
class Pair:
    """A dry recording and what the gear made of it, aligned, of one length."""

    input: Tensor  # float32 (frames,), full scale 1.0
    target: Tensor  # the same shape
    sample_rate_hz: int
    train: Frames
    valid: Frames
    test: Frames | None
    sha256: dict[str, str]  # "input", "target": of the files' bytes
    warnings: tuple[str, ...]  # what is odd but can be trained on
    doctor: dict[str, Any] | None = None  # findings and measures as plain values, where it looked

    @functools.cached_property
    def target_gain(self) -> float:
        """What brings the train split of the target to NORMAL_RMS; one number for all splits."""
        train = self.target[slice(*self.train)].double()
        return float(NORMAL_RMS / train.square().mean().sqrt())


@dataclasses.dataclass(frozen=True)
class Recordings:
    """A pair that is mono, aligned and of one length already."""

    input: Tensor  # float32 (frames,)
    target: Tensor  # the same shape
    sample_rate_hz: int
    doctor: dict[str, Any] | None = None  # what it found and measured, as plain values

    @classmethod
    def of(
        cls, dry: NDArray[np.float64], wet: NDArray[np.float64], sample_rate_hz: int
    ) -> "Recordings":
        """From arrays of one length."""
        single = [torch.from_numpy(s.astype(np.float32)) for s in (dry, wet)]
        return cls(single[0], single[1], sample_rate_hz)


def recording_paths(recipe: Recipe) -> tuple[Path, Path]:
    """(input, target) of a recipe; raises DataError where it names none."""
    for key in ("input", "target"):
        if not getattr(recipe.data, key):
            raise DataError(
                f"data.{key} is empty, expected a WAV, FLAC or AIFF file: name it in the recipe "
                f"or with --data.{key} FILE"
            )
    folder = Path(recipe.paths.data)
    return folder / recipe.data.input, folder / recipe.data.target


def load_pair(recipe: Recipe, ready: Recordings | None = None) -> Pair:
    """Read, check, align and divide the recordings of a recipe.

    ready: what the doctor made of them; without it the files must be mono, of one rate, and of
        lengths that differ by no more than data.length_tolerance_s
    raises: DataError that names the file
    """
    config = recipe.data
    input_path, target_path = recording_paths(recipe)
    if ready is None:
        dry, wet, rate = read_pair(
            input_path, target_path, config.delay_frames, config.length_tolerance_s
        )
    else:
        dry, wet, rate = ready.input, ready.target, ready.sample_rate_hz
        config = _cut_splits(config, len(dry), recorded_frames(input_path))
    train, valid, test = divide(len(dry), config, target_path)
    for name, span in (("train", train), ("valid", valid), ("test", test)):
        if span is not None:
            _check_sound(dry, input_path, name, span)
            _check_sound(wet, target_path, name, span)
    hashes = {"input": sha256_file(input_path), "target": sha256_file(target_path)}
    # The doctor has looked for clipping already.
    looked = () if ready else ((input_path, dry), (target_path, wet))
    warnings = tuple(w for p, s in looked if (w := clipping(s, p)))
    doctor = ready.doctor if ready else None
    return Pair(dry, wet, rate, train, valid, test, hashes, warnings, doctor)


def recorded_frames(path: Path) -> int:
    """Length of a sound file; raises: DataError."""
    try:
        return int(soundfile.info(path).frames)
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(path, error) from error


def cut_span(span: Frames, length: int, recorded: int) -> Frames:
    """A span of the file, less what the doctor took from the file's end; others as they are.

    length, recorded: frames of the repaired pair and of the input's file
    """
    return (span[0], length) if span[0] < length < span[1] <= recorded else span


def _cut_splits(config: DataConfig, length: int, recorded: int) -> DataConfig:
    def cut(span: Frames | None) -> Frames | None:
        return span and cut_span(span, length, recorded)

    return dataclasses.replace(
        config, train=cut(config.train), valid=cut(config.valid), test=cut(config.test)
    )


def read_pair(
    input_path: Path, target_path: Path, delay_frames: int = 0, tolerance_s: float = 1.0
) -> tuple[Tensor, Tensor, int]:
    """(input, target, sample_rate_hz), the target's lag removed, cut to the shorter one.

    raises: DataError for two rates, or lengths that differ by more than tolerance_s
    """
    dry, rate = read_mono(input_path)
    wet, target_rate = read_mono(target_path)
    if rate != target_rate:
        raise DataError(
            f"{target_path}: found {target_rate} Hz, expected the {rate} Hz of {input_path}; "
            "resample one of them"
        )
    difference = len(wet) - len(dry)
    if abs(difference) > tolerance_s * rate:
        raise DataError(
            f"{target_path}: found {len(wet)} frames, expected the {len(dry)} of {input_path} "
            f"within {tolerance_s:g} s; cut the longer one, or allow more with "
            f"--data.length_tolerance_s {abs(difference) / rate:.1f}"
        )
    length = min(len(dry), len(wet))
    return dry[:length], padded_slice(wet, delay_frames, length + delay_frames), rate


def read_recording(path: Path) -> tuple[NDArray[np.float32], int]:
    """(float32 (frames, channels), sample_rate_hz) of any WAV, FLAC or AIFF file.

    raises: DataError if it is missing, unreadable or empty
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file, expected a WAV, FLAC or AIFF recording")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(path, error) from error
    if len(samples) == 0:
        raise DataError(f"{path}: found 0 frames, expected a recording")
    return samples, int(rate)


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read as WAV, FLAC or AIFF: {error}")


def read_mono(path: Path) -> tuple[Tensor, int]:
    """(float32 (frames,), sample_rate_hz) of a mono recording.

    raises: DataError if it is missing, unreadable, empty, not mono or not finite
    """
    samples, rate = read_recording(path)
    if samples.shape[1] != 1:
        raise DataError(
            f"{path}: found {samples.shape[1]} channels, expected 1; keep one of them, for "
            f"example: sox {path.name} mono.wav remix 1"
        )
    signal = torch.from_numpy(samples[:, 0].copy())
    if not bool(torch.isfinite(signal).all()):
        first = int((~torch.isfinite(signal)).nonzero()[0])
        raise DataError(
            f"{path}: frame {first}: found a value that is not finite, expected "
            "samples around -1..1; export the recording again"
        )
    return signal, rate


def divide(length: int, config: DataConfig, path: Path) -> tuple[Frames, Frames, Frames | None]:
    """(train, valid, test) of a recording: as the recipe says, else 80 / 10 / 10 per cent."""
    if config.train is None or config.valid is None:
        return (
            (0, length * 8 // 10),
            (length * 8 // 10, length * 9 // 10),
            (
                length * 9 // 10,
                length,
            ),
        )
    spans = {"train": config.train, "valid": config.valid, "test": config.test}
    for name, span in spans.items():
        if span is not None and not 0 <= span[0] < span[1] <= length:
            raise DataError(
                f"data.{name}: found {list(span)}, expected [first, end] with "
                f"0 <= first < end <= {length}, the length of {path} in frames"
            )
    given = sorted(s for s in spans.values() if s is not None)
    for one, other in itertools.pairwise(given):
        if one[1] > other[0]:
            raise DataError(
                f"data: found {list(one)} and {list(other)} overlapping, expected splits "
                "that share no frame: ESR on trained material means nothing"
            )
    return config.train, config.valid, config.test


def clipping(signal: Tensor, path: Path) -> str:
    """A warning if the recording has flat tops at full scale, else ""."""
    flat = (signal.abs() >= 0.9999).unfold(0, min(CLIP_RUN_FRAMES, len(signal)), 1).all(-1)
    if not bool(flat.any()):
        return ""
    first = int(flat.nonzero()[0])
    return (
        f"{path}: clipped from frame {first} on in {int(flat.sum())} places; the model will learn "
        "the clipping: record again with a lower level"
    )


def _check_sound(signal: Tensor, path: Path, name: str, span: Frames) -> None:
    peak = float(signal[slice(*span)].abs().max())
    if peak < SILENCE_PEAK:
        raise DataError(
            f"{path}: {name} split, frames {span[0]} to {span[1]}: found silence "
            f"(peak {peak:.1e}), expected a peak of {SILENCE_PEAK:g} or more; "
            "check the cable, or move the split"
        )


class Crops:
    """Random crops of the train split, each with the history that the net needs.

    Each batch is (input (batch, frames + field - 1), target (batch, frames)); the history of a
    crop near the start of the recording is silence, as it was when it was played.
    """

    def __init__(self, pair: Pair, net: Network, batch_size: int, frames: int, seed: int) -> None:
        first, end = pair.train
        if end - first < frames:
            raise DataError(
                f"train split: found {end - first} frames, expected at least the {frames} of one "
                "crop; record more or lower --training.segment_frames"
            )
        self._first, self._choices = first, end - first - frames + 1
        self._lookback, self._batch_size, self._frames = net.before_frames, batch_size, frames
        self._span = frames + net.receptive_field_frames - 1
        # Padded once, so that a crop is a plain slice.
        self._input = padded_slice(pair.input, -net.before_frames, end + net.after_frames)
        self._target = pair.target * pair.target_gain
        self.random = torch.Generator().manual_seed(seed)

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next batch, in the memory of the recordings' device."""
        offsets = torch.randint(self._choices, (self._batch_size,), generator=self.random)
        starts = [self._first + int(offset) for offset in offsets]
        inputs = torch.stack([self._input[s : s + self._span] for s in starts])
        targets = torch.stack([self._target[s : s + self._frames] for s in starts])
        return inputs, targets
