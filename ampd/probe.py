"""How loud a model plays a guitar: the signal that asks, and the number that answers.

The signal is the same at every sample rate, since it is worked out from time and not from samples:
three seconds of the six open strings and their octaves, a note every quarter of a second, peak 0.3
of full scale, which is a guitar with passive pick-ups.  The number is the RMS of the answer in dB
of full scale (dBFS), what `loudness` means in the metadata of NAM's files and of ours, so that
the two can be compared; direct current, which nobody hears, is left out of it.
"""

import functools
import math

import numpy as np
from numpy.typing import NDArray

SECONDS = 3.0
PEAK = 0.3
STRINGS_HZ = (82.41, 110.0, 146.83, 196.0, 246.94, 329.63)
NOTES = 12  # one every quarter of a second
NOTE_S = 1.0
DAMPED_S = 0.05  # the hand stops it that fast
PICK_AT = 0.18  # of the string's length: where it is plucked
PICKUP_AT = 0.11  # where it is heard
PICKUP_HZ, PICKUP_Q = 3500.0, 1.6  # the resonance of coil and cable
HIGHEST_HZ = 6000.0
DECAY_PER_S = 2.0  # of the fundamental; each further partial dies that much faster:
DECAY_PER_PARTIAL = 0.35
QUIETEST_DBFS = -200.0


@functools.cache
def guitar_signal(sample_rate_hz: int) -> NDArray[np.float32]:
    """The signal: (frames,), 3 s, |x| <= 0.3, full scale 1.0. Not to be written to."""
    frames = round(SECONDS * sample_rate_hz)
    signal = np.zeros(frames)
    for number in range(NOTES):
        frequency_hz = STRINGS_HZ[number * 5 % len(STRINGS_HZ)] * (1 + number % 2)
        first = number * frames // NOTES
        note = _note(frequency_hz, sample_rate_hz)[: frames - first]
        signal[first : first + len(note)] += note
    signal *= PEAK / np.abs(signal).max()
    kept = signal.astype(np.float32)
    kept.flags.writeable = False
    return kept


def _note(frequency_hz: float, sample_rate_hz: int) -> NDArray[np.float64]:
    """A plucked string behind a pick-up: partial n of amplitude sin(n pick) sin(n pickup) / n."""
    highest = min(HIGHEST_HZ, 0.45 * sample_rate_hz)
    partial = np.arange(1, int(highest / frequency_hz) + 1)
    ratio = partial * frequency_hz / PICKUP_HZ
    strength = np.sin(np.pi * PICK_AT * partial) * np.sin(np.pi * PICKUP_AT * partial) / partial
    strength /= np.sqrt((1 - ratio**2) ** 2 + (ratio / PICKUP_Q) ** 2)
    time_s = np.arange(round(NOTE_S * sample_rate_hz)) / sample_rate_hz
    turn = np.exp((2j * np.pi * frequency_hz - DECAY_PER_PARTIAL) * time_s)
    wave = np.zeros_like(turn)
    for amplitude in strength[::-1]:  # Horner: the sum over n of amplitude * turn^n
        wave = (wave + amplitude) * turn
    hand = np.minimum(1.0, (NOTE_S - time_s) / DAMPED_S)
    note: NDArray[np.float64] = np.imag(wave) * np.exp(-DECAY_PER_S * time_s) * hand
    return note


def loudness_dbfs(sound: NDArray[np.float32]) -> float:
    """RMS in dB of full scale, direct current left out; -200 for silence."""
    power = float(np.var(sound.astype(np.float64)))
    return max(QUIETEST_DBFS, 10 * math.log10(power)) if power > 0 else QUIETEST_DBFS
