"""A guitar made of arithmetic: test signals that are the same on every machine."""

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]

SELF_TEST_FRAMES = 512
RIFF_HZ = (82.41, 110.0, 146.83, 196.0, 246.94, 329.63)  # the open strings


def pluck(
    frequency_hz: float, frames: int, sample_rate_hz: int, random: np.random.Generator
) -> Signal:
    """One plucked string, peak 1.

    returns: (frames,)
    source: Karplus & Strong 1983, Computer Music Journal 7(2): noise in a delay line that
        averages its neighbours
    """
    period = max(2, round(sample_rate_hz / frequency_hz))
    line = random.uniform(-1, 1, period)
    line -= line.mean()
    rounds = [line]
    for _ in range(frames // period):
        rounds.append(0.498 * (rounds[-1] + np.roll(rounds[-1], 1)))
    note: Signal = np.concatenate(rounds)[:frames]
    note /= np.abs(note).max()
    return note


def riff(seconds: float, sample_rate_hz: int, peak: float = 0.3, seed: int = 1) -> Signal:
    """Overlapping plucked notes, one every 0.25 s, as loud as a guitar with passive pick-ups.

    returns: (frames,), |x| <= peak, full scale 1.0
    """
    random = np.random.default_rng(seed)
    frames = round(seconds * sample_rate_hz)
    signal: Signal = np.zeros(frames)
    for number, first in enumerate(range(0, frames, sample_rate_hz // 4)):
        length = min(frames - first, sample_rate_hz)
        frequency_hz = RIFF_HZ[(number * 5) % len(RIFF_HZ)] * (1 + number % 3)
        signal[first : first + length] += pluck(frequency_hz, length, sample_rate_hz, random)
    signal *= peak / np.abs(signal).max()
    return signal


def self_test_input(sample_rate_hz: int) -> Signal:
    """What a model file carries to prove itself: a few frames of silence, then a pluck.

    returns: (SELF_TEST_FRAMES,), exact float32 values, peak about 0.3
    """
    random = np.random.default_rng(7)
    attack = pluck(440.0, SELF_TEST_FRAMES - 16, sample_rate_hz, random)
    low = pluck(196.0, SELF_TEST_FRAMES - 16, sample_rate_hz, random)
    signal = np.concatenate([np.zeros(16), 0.2 * attack + 0.1 * low])
    return signal.astype(np.float32).astype(np.float64)
