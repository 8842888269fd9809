"""A recording through a model, file to file, with the same bytes however the file is cut.

The last bit of a convolution depends on how many frames it is given at once.  So the file is always
cut on one grid of TILE_FRAMES, and so is what the net is given: reading it whole, in chunks of any
length, or while it is being written changes nothing that the arithmetic sees.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.devices import find_device
from trainer.errors import DataError
from trainer.export import proven_model
from trainer.files import replace_file
from trainer.networks import Memory, Network

TILE_FRAMES = 16384  # the fastest of 1024 to 65536 on the nets of the recipes
SUBTYPES = {".wav": ("WAV", "FLOAT"), ".flac": ("FLAC", "PCM_24")}

Block = NDArray[np.float32]  # (frames, channels), as soundfile has it


@dataclasses.dataclass(frozen=True)
class Played:
    """What was written."""

    frames: int
    channels: int
    sample_rate_hz: int
    peak: float  # full scale 1.0
    clipped_frames: int  # samples that 24-bit FLAC cannot hold; 0 in a WAV
    notes: tuple[str, ...]  # what a person should know


class Player:
    """A net that plays a recording: (channels, frames) in, as many frames out in the end, each
    under the input frame that it belongs to.  Each channel has a net of its own.

    It starts as a net that has listened to silence for ever; what follows the end is silence too.
    """

    def __init__(self, net: Network, channels: int) -> None:
        self._net, self._memory = net, Memory()
        some = next(net.parameters())
        silence = some.new_zeros(channels, TILE_FRAMES)
        self._waiting, self._ahead = silence[:, :0], net.after_frames
        self._taken = self._given = 0
        for _ in range(-(-net.settle_frames // TILE_FRAMES)):
            self._play_tile(silence)

    def play(self, block: Tensor) -> Tensor:
        """The answer to what fills whole tiles by now; the rest waits."""
        self._taken += block.shape[-1]
        self._waiting = torch.cat([self._waiting, block.to(self._waiting)], -1)
        whole = self._waiting.shape[-1] // TILE_FRAMES * TILE_FRAMES
        tiles, self._waiting = self._waiting[:, :whole], self._waiting[:, whole:]
        grid = range(0, whole, TILE_FRAMES)
        answers = [self._play_tile(tiles[:, i : i + TILE_FRAMES]) for i in grid]
        answer = torch.cat([self._waiting[:, :0], *answers], -1)
        # What a centred net answers before the first frame belongs to no frame.
        early = min(self._ahead, answer.shape[-1])
        self._ahead -= early
        self._given += answer.shape[-1] - early
        return answer[:, early:].cpu()

    def finish(self) -> Tensor:
        """The rest."""
        left = self._taken - self._given
        silence = -(-(left + self._ahead) // TILE_FRAMES) * TILE_FRAMES
        silence -= self._waiting.shape[-1]
        return self.play(self._waiting.new_zeros(len(self._waiting), silence))[:, :left]

    @torch.no_grad()
    def _play_tile(self, tile: Tensor) -> Tensor:
        answer: Tensor = self._net(tile.contiguous(), self._memory)
        return answer


def play_file(
    model_path: Path,
    source: Path,
    target: Path,
    chunk_frames: int | None = None,
    device: str = "cpu",
    report: Callable[[float], None] = lambda share: None,
) -> Played:
    """Write what the model makes of `source`, as long as it and lying on it.

    model_path: .json, .nam or best_model.pt
    target: .wav (32-bit float) or .flac (24 bit), at the rate and with the channels of `source`:
        each channel goes through a model of its own, and another rate is resampled both ways
    chunk_frames: how many are read and written at a time; None: the whole file.  The file that
        comes out is the same, byte for byte.
    device: cpu, cuda, mps; another device than the CPU has other rounding
    report: called with the share that is done, 0..1
    raises: ModelError, DataError, TrainingError for a device that this machine does not have
    """
    model = proven_model(model_path)
    kind = _kind_of(target, source)
    net = model.net.to(find_device(device, "--device"))
    if not source.is_file():
        raise DataError(f"{source}: no such file, expected a WAV, FLAC or AIFF recording")
    try:
        with soundfile.SoundFile(source) as reader:
            if reader.frames == 0:
                raise DataError(f"{source}: found 0 frames, expected a recording")
            job = _Job(net, model.sample_rate_hz, reader, chunk_frames or reader.frames, report)
            replace_file(target, lambda file: job.run(file, *kind))
            return job.played()
    except soundfile.SoundFileError as error:
        raise DataError(f"{source}: cannot be read as WAV, FLAC or AIFF: {error}") from error


def _kind_of(target: Path, source: Path) -> tuple[str, str]:
    kind = SUBTYPES.get(target.suffix.lower())
    if kind is None:
        raise DataError(
            f"{target}: found the ending {target.suffix or 'none'!r}, expected .wav (32-bit float) "
            "or .flac (24 bit)"
        )
    if target.exists() and source.exists() and target.samefile(source):
        raise DataError(f"{target}: is the recording itself, expected another file to write")
    return kind


class _Job:
    """One file on its way: read, cut on the grid, to the model's rate, played, back, written."""

    def __init__(
        self,
        net: Network,
        model_rate_hz: int,
        reader: soundfile.SoundFile,
        chunk_frames: int,
        report: Callable[[float], None],
    ) -> None:
        self._net, self._model_rate_hz, self._reader = net, model_rate_hz, reader
        self._chunk_frames, self._report = chunk_frames, report
        self._rate_hz, self._channels = int(reader.samplerate), int(reader.channels)
        self._total, self._written = int(reader.frames), 0
        self._peak, self._clipped = 0.0, 0

    def run(self, file: BinaryIO, form: str, subtype: str) -> None:
        """Everything, into an empty file."""
        with soundfile.SoundFile(
            file, "w", self._rate_hz, self._channels, subtype=subtype, format=form
        ) as writer:
            for block in self._answers():
                # A resampler may give a frame more than it took.
                kept = block[: self._total - self._written]
                self._written += len(kept)
                level = np.abs(kept)
                self._peak = max(self._peak, float(level.max(initial=0.0)))
                self._clipped += int((level > 1.0).sum()) if subtype != "FLOAT" else 0
                writer.write(kept)
                self._report(self._written / self._total)
            missing = self._total - self._written
            writer.write(np.zeros((missing, self._channels), np.float32))
        if form == "WAV":
            _forget_the_time(file)

    def played(self) -> Played:
        """What `run` has done."""
        notes = []
        if self._channels > 1:
            notes.append(
                f"{self._channels} channels: each one through a model of its own, as through "
                f"{self._channels} amps"
            )
        if self._rate_hz != self._model_rate_hz:
            notes.append(
                f"{self._rate_hz} Hz where the model is for {self._model_rate_hz} Hz: resampled "
                "there and back"
            )
        if self._clipped:
            notes.append(
                f"{self._clipped} samples above full scale (peak {self._peak:.2f}) are clipped: "
                "write a .wav, whose float samples hold them"
            )
        return Played(
            self._total, self._channels, self._rate_hz, self._peak, self._clipped, tuple(notes)
        )

    def _answers(self) -> Iterator[Block]:
        player = Player(self._net, self._channels)
        there, back = self._resampler(to_model=True), self._resampler(to_model=False)
        for tile in self._tiles():
            block = there(tile, False)
            yield back(player.play(torch.from_numpy(block.T.copy())).numpy().T, False)
        block = there(np.zeros((0, self._channels), np.float32), True)
        rest = [player.play(torch.from_numpy(block.T.copy())), player.finish()]
        yield back(torch.cat(rest, -1).numpy().T, True)

    def _resampler(self, to_model: bool) -> Callable[[Block, bool], Block]:
        rates = (self._rate_hz, self._model_rate_hz)
        if rates[0] == rates[1]:
            return lambda block, last: block
        one, two = rates if to_model else rates[::-1]
        stream = soxr.ResampleStream(one, two, self._channels, dtype="float32", quality="VHQ")
        return lambda block, last: stream.resample_chunk(np.ascontiguousarray(block), last=last)

    def _tiles(self) -> Iterator[Block]:
        """The file in pieces of TILE_FRAMES, the last one shorter, however it is read."""
        waiting, at = np.zeros((0, self._channels), np.float32), 0
        while len(chunk := self._reader.read(self._chunk_frames, dtype="float32", always_2d=True)):
            if not np.isfinite(chunk).all():
                bad = at + int(np.flatnonzero(~np.isfinite(chunk).all(axis=1))[0])
                raise DataError(
                    f"{self._reader.name}: frame {bad}: found a value that is not finite, expected "
                    "samples around -1..1; export the recording again"
                )
            at += len(chunk)
            waiting = np.concatenate([waiting, chunk])
            whole = len(waiting) // TILE_FRAMES * TILE_FRAMES
            yield from (waiting[i : i + TILE_FRAMES] for i in range(0, whole, TILE_FRAMES))
            waiting = waiting[whole:]
        yield waiting


def _forget_the_time(file: BinaryIO) -> None:
    """Zero the time of day that libsndfile writes into the PEAK chunk of a float WAV: it would be
    the only difference between two renderings."""
    file.seek(0)
    at = file.read(256).find(b"PEAK")
    if at >= 0:
        file.seek(at + 12)  # behind the name, the size and the version
        file.write(bytes(4))
