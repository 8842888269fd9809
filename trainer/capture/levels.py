"""Levels while a take runs: what the meters show, and what ends the take early."""

import dataclasses

import numpy as np

from trainer.capture.tape import LOUD, Block
from trainer.errors import DataError

FULL_SCALE = 0.9999  # 16-bit converters end at 0.99997
CLIP_RUN_FRAMES = 3  # this many neighbours at full scale are a flat top, not a peak
SILENT_DB = -60.0
SILENT_S = 1.5  # of loud sending without an answer
ROOM_DB = 3.0  # of head-room: a return peaks best between -12 and -3 dBFS
HOT_DB = -1.0


@dataclasses.dataclass(frozen=True)
class Levels:
    """A few cycles of a take."""

    position: int  # frame of the tape, after them
    frames: int  # of the whole tape
    sent_peak: float  # full scale 1.0
    heard_peak: float
    clipped: bool  # flat tops in what came back
    tears: int  # so far: how often an xrun had the tape wound back


def is_clipped(heard: Block) -> bool:
    """Whether there is a flat top at full scale."""
    full = np.abs(heard) >= FULL_SCALE
    return bool((full[:-2] & full[1:-1] & full[2:]).any())


def peak_of(signal: Block) -> float:
    """Largest |x|; 0 for no frames."""
    return float(np.abs(signal).max()) if len(signal) else 0.0


def decibels(peak: float) -> float:
    """dBFS, with a bottom of -120."""
    return float(20 * np.log10(max(peak, 1e-6)))


class Watch:
    """Ends a take that cannot become good."""

    def __init__(self, sound: Block, sample_rate_hz: int, name: str) -> None:
        """name: of the port that the gear comes back on, for the errors."""
        self.heard_peak = 0.0
        self._loudest, self._rate, self._name = peak_of(sound), sample_rate_hz, name
        self._loud_s, self._position = 0.0, 0

    def see(self, levels: Levels) -> None:
        """Look at the next levels; raises DataError where the take is lost."""
        self.heard_peak = max(self.heard_peak, levels.heard_peak)
        if levels.clipped:
            raise DataError(self._too_hot(levels))
        if levels.sent_peak > LOUD:
            self._loud_s += max(0, levels.position - self._position) / self._rate
        self._position = levels.position
        if self._loud_s > SILENT_S and decibels(self.heard_peak) < SILENT_DB:
            raise DataError(
                f"{self._name}: return silent (peak {decibels(self.heard_peak):.0f} dBFS) while "
                "the signal plays: check cables, volume and standby of the gear, or name "
                "another port with --send or --return (ampd-train capture --list)"
            )

    def _too_hot(self, levels: Levels) -> str:
        over_db = max(0.0, decibels(self.heard_peak)) + ROOM_DB
        grows_db = max(0.0, decibels(self._loudest) - decibels(levels.sent_peak))
        if grows_db >= 1 and levels.sent_peak > LOUD:
            still = f", where the signal is still {grows_db:.0f} dB below its loudest"
            by = f"by {over_db:.0f} dB, by {over_db + grows_db:.0f} dB if the gear is clean"
        else:
            still, by = "", f"by {over_db:.0f} dB"
        return (
            f"{self._name}: return clipped at {levels.position / self._rate:.1f} s (peak "
            f"{decibels(self.heard_peak):+.1f} dBFS){still}: turn it down {by}"
        )

    def remark(self) -> str:
        """What to do better next time, after a take that is good enough; else ""."""
        peak_db = decibels(self.heard_peak)
        if peak_db > HOT_DB:
            return f"the return peaks at {peak_db:+.1f} dBFS: {ROOM_DB:g} dB less would be safer"
        if peak_db < -30:
            return f"the return peaks at {peak_db:.1f} dBFS only: {-12 - peak_db:.0f} dB more"
        return ""
