"""The tape: what is played and what comes back, cycle by cycle, and what an xrun does to it.

An xrun tears the tape: frames were lost, and nobody can say how many.  It is then wound back to
before the tear and goes on from there ("punching in").  What was recorded twice must be the same
both times, frame for frame, or the take is refused: so a take is whole or there is none.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]

SUSPECT_S = 0.5  # before a tear: JACK tells of an xrun some time after it
COMPARED_S = 1.0  # recorded twice and compared, before that
SETTLE_S = 1.0  # in which the gear forgets that the tape has jumped
LOUD = 0.01  # -40 dBFS: softer playing proves nothing about timing
SLIP_FRAMES = 4096  # largest change of the latency that is looked for
FRAME_CLOCK = 1 << 32  # JACK's frame counter wraps around here


class Tape:
    """Plays `sound`, records as long and `tail_frames` more. All memory is taken beforehand."""

    def __init__(self, sound: Block, tail_frames: int) -> None:
        self.played: Block = np.concatenate([sound, np.zeros(tail_frames, np.float32)])
        self.heard: Block = np.zeros(len(self.played), np.float32)
        self.position = 0
        self.rolling = False
        self.xruns = 0  # counted by whoever hears of them
        self._xruns_known = 0
        self._next_frame = -1

    @property
    def done(self) -> bool:
        """All is recorded."""
        return self.position >= len(self.played)

    def roll(self, position: int) -> None:
        """Start or go on from `position`, a frame of `sound`."""
        self.position, self._next_frame = position, -1
        self._xruns_known = self.xruns
        self.rolling = True

    def process(self, out: Block, into: Block, frame: int) -> None:
        """One cycle, on the audio thread: copies, and stops where frames are missing.

        out, into: (frames,) what goes to the gear and what comes from it; frame: JACK's clock,
            which stands still while JACK runs faster than real time
        """
        out.fill(0.0)
        if not self.rolling:
            return
        gap = (frame - self._next_frame) % FRAME_CLOCK
        lost = self._next_frame >= 0 and gap not in (0, FRAME_CLOCK - len(out))
        self._next_frame = (frame + len(out)) % FRAME_CLOCK
        if lost or self.xruns != self._xruns_known:
            self.rolling = False
            return
        start = self.position
        count = min(len(out), len(self.played) - start)
        out[:count] = self.played[start : start + count]
        self.heard[start : start + count] = into[:count]
        self.position = start + count
        if self.position >= len(self.played):
            self.rolling = False

    @property
    def torn(self) -> bool:
        """Stopped before the end, or an xrun was told of after it."""
        return not self.rolling and (not self.done or self.xruns != self._xruns_known)


@dataclasses.dataclass(frozen=True)
class Seam:
    """Where the tape is recorded again, and what was there before."""

    start: int  # frame to punch in at
    before: Block  # heard[start:compared[1]] at that time
    compared: tuple[int, int]  # [first, end) of the frames that must be the same both times


class SlipError(Exception):
    """The text says where the two recordings of one place do not fit."""


class Splicer:
    """Winds a torn tape back, and proves that what is joined belongs together."""

    def __init__(self, tape: Tape, sample_rate_hz: int) -> None:
        self.count = 0  # of tears
        self._tape, self._rate = tape, sample_rate_hz
        self._seam: Seam | None = None

    def wind_back(self) -> int:
        """The frame to roll from after a tear.

        raises: SlipError if an earlier seam does not fit
        """
        self.count += 1
        sure = self._tape.position - round(SUSPECT_S * self._rate)
        if self._seam is not None and sure < self._seam.compared[1]:
            return self._seam.start  # torn again before anything new was proven
        self.finish()
        self._seam = self._last_proof(sure)
        return 0 if self._seam is None else self._seam.start

    def _last_proof(self, end: int) -> Seam | None:
        """The latest place before `end` where enough is played to compare; None: there is none."""
        span, settle = round(COMPARED_S * self._rate), round(SETTLE_S * self._rate)
        while (start := end - span - settle) > 0:
            compared = (end - span, end)
            if float(np.abs(self._tape.played[slice(*compared)]).max()) > LOUD:
                return Seam(start, self._tape.heard[start:end].copy(), compared)
            end -= span
        return None

    def finish(self) -> None:
        """Close the seam that is open; raises SlipError if its two recordings do not fit."""
        seam, self._seam = self._seam, None
        if seam is None:
            return
        heard, first = self._tape.heard, seam.compared[0]
        settle = first - seam.start
        moved = slip(seam.before[settle:], heard[slice(*seam.compared)])
        if moved:
            raise SlipError(
                f"the latency changed by {moved} frames {first / self._rate:.1f} s into the take, "
                "after an xrun"
            )
        heard[seam.start : first] = seam.before[:settle]


def slip(before: Block, again: Block) -> int:
    """By how many frames `again` comes later than `before`, within SLIP_FRAMES."""
    size = 1 << int(np.ceil(np.log2(len(before) + SLIP_FRAMES)))
    spectra = [np.fft.rfft(signal.astype(np.float64), size) for signal in (before, again)]
    curve = np.fft.irfft(spectra[0].conj() * spectra[1], size)
    offsets = np.arange(-SLIP_FRAMES, SLIP_FRAMES + 1)
    return int(offsets[np.argmax(curve[offsets])])
