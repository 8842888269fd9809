"""What the doctor says: one finding, one sentence."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]

STOPS, WARNS, NOTES = "error", "warning", "note"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One fault of a pair of recordings.

    code is stable: scripts may rely on it.  A finding of severity STOPS makes training pointless;
    one of severity NOTES is a fact that needs no action.
    """

    code: str
    severity: str  # STOPS, WARNS or NOTES
    size: float  # in `unit`, the sign as the text explains it
    unit: str  # "frames", "ppm", "dB", "Hz", "s", "ESR" ...
    text: str  # one sentence: what was found, and the way out
    fixed: bool = False  # the recordings that the doctor hands on no longer have it


def decibels(amplitude: float) -> float:
    """20 log10, with a bottom of -200 dB so that silence is a number."""
    return float(20 * np.log10(max(amplitude, 1e-10)))


def rms(signal: Signal) -> float:
    """Root of the mean square; 0 for an empty signal."""
    return float(np.sqrt(np.mean(np.square(signal)))) if len(signal) else 0.0


def window_rms(signal: Signal, frames: int) -> Signal:
    """RMS of each whole window of `frames`, the mean of the window included."""
    count = len(signal) // frames
    windows = signal[: count * frames].reshape(count, frames)
    result: Signal = np.sqrt(np.mean(np.square(windows), axis=1))
    return result
