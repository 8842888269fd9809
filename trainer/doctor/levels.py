"""What is wrong with the sound itself: clipping, offset, hum, noise, gates, lost passages.

Offset, hum and noise are measured in the pauses of the input, and only there: an asymmetric
distortion makes an offset of its own while it is played through, and that belongs to the gear.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trainer.doctor.finding import Signal, decibels, rms, window_rms

PAUSE_WINDOW_S = 0.05
PAUSE_DB = -80.0  # below the input's RMS; a note that decays is still played
SETTLE_WINDOWS = 10  # the gear's own tail, 0.5 s, is no noise
MAINS_HZ = (50.0, 60.0)
HARMONICS = 8
CLIP_RUN_FRAMES = 3  # this many neighbours at one extreme are a flat top, not a peak
FULL_SCALE = 0.9999  # 16-bit files end at 0.99997
GATE_WINDOW = 512
GATE_DEPTH_DB = 30.0


def flat_tops(signal: Signal) -> tuple[int, int]:
    """(runs of CLIP_RUN_FRAMES or more frames at full scale or at one exact extreme, first frame).

    Below full scale it takes five runs of exactly equal frames: what was clipped and turned down.
    """
    high, low = float(signal.max()), float(signal.min())
    full = _runs(np.abs(signal) >= FULL_SCALE)
    if len(full):
        return len(full), int(full[0])
    tops = [_runs(signal == edge) for edge in (high, low) if edge != 0]
    most = max(tops, key=len, default=np.zeros(0, dtype=np.int64))
    return (len(most), int(most[0])) if len(most) >= 5 else (0, 0)


def _runs(mask: NDArray[np.bool_], at_least: int = CLIP_RUN_FRAMES) -> NDArray[np.int64]:
    """First frames of the runs of True that are long enough."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return starts[ends - starts >= at_least]


def dropouts(dry: Signal, wet: Signal, sample_rate_hz: int) -> tuple[int, int, int]:
    """(passages of 2 ms or more where the target stands still under loud input, frames, first)."""
    least = sample_rate_hz // 500
    edges = np.diff(np.concatenate([[0], (np.diff(wet) == 0).astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    loud = 0.5 * rms(dry)
    found = [
        (int(s), int(e))
        for s, e in zip(starts, ends, strict=True)
        if e - s >= least and abs(wet[s]) < FULL_SCALE
        # The input must be loud on both edges: a gate closes while it is quiet.  And it must not
        # stand still itself, as it does between two blips.
        if min(rms(dry[max(0, s - least) : s + least]), rms(dry[e - least : e + least])) > loud
        and rms(dry[s + 1 : e]) > 0.1 * loud
    ]
    return len(found), sum(e - s for s, e in found), found[0][0] if found else 0


def skewness_of_levels(dry: Signal, wet: Signal) -> tuple[float, float]:
    """(growth of the target's level in dB a dB of input, kurtosis of target over input's).

    Gear compresses: both are below 1, or about 1 for clean gear.  Swapped files turn them around.
    """
    a, b = (20 * np.log10(window_rms(s, 2400) + 1e-9) for s in (dry, wet))
    playing = (a > a.max() - 30) & (b > b.max() - 30)
    if int(playing.sum()) < 8:
        return 1.0, 1.0
    _, vectors = np.linalg.eigh(np.cov(a[playing], b[playing]))
    across, up = vectors[:, 1]
    slope = abs(float(up / across)) if across else 1e9
    squares = [np.square(s) for s in (dry, wet)]
    kurtosis = [float(np.mean(np.square(s)) / np.mean(s) ** 2) for s in squares]
    return slope, kurtosis[1] / kurtosis[0]


# --- pauses


@dataclasses.dataclass(frozen=True)
class Floor:
    """What the target holds while the input is silent; levels against the RMS of playing."""

    seconds: float  # of pauses found
    offset: float  # full scale 1.0
    noise_db: float  # without offset and hum
    hum_db: float
    mains_hz: float  # 50 or 60, whichever explains more


def pauses(dry: Signal, sample_rate_hz: int) -> list[tuple[int, int]]:
    """[first, end) of the stretches in which the input has been silent for 0.5 s."""
    frames = int(PAUSE_WINDOW_S * sample_rate_hz)
    count = len(dry) // frames
    windows = dry[: count * frames].reshape(count, frames)
    quiet = windows.std(axis=1) < rms(dry) * 10 ** (PAUSE_DB / 20)
    found = []
    edges = np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]]))
    for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        settled = start + SETTLE_WINDOWS if start else 1
        # One window less at the end: after a fix of the lag, the next note may begin early.
        if end - 1 - settled >= 4:
            found.append((int(settled) * frames, int(end - 1) * frames))
    return found


def measure_floor(dry: Signal, wet: Signal, sample_rate_hz: int) -> Floor | None:
    """None if the input never pauses for 0.75 s."""
    found = pauses(dry, sample_rate_hz)
    if not found:
        return None
    pieces = [wet[start:end] for start, end in found]
    loud = max(rms(wet - wet.mean()), 1e-12)
    longest = max(pieces, key=len)[: 2 * sample_rate_hz]
    rest, hum, mains_hz = _split_hum(longest - longest.mean(), sample_rate_hz)
    return Floor(
        seconds=sum(map(len, pieces)) / sample_rate_hz,
        offset=float(np.mean(np.concatenate(pieces))),
        noise_db=decibels(rms(rest) / loud),
        hum_db=decibels(hum / loud),
        mains_hz=mains_hz,
    )


def _split_hum(noise: Signal, sample_rate_hz: int) -> tuple[Signal, float, float]:
    """(what the harmonics of the mains leave, RMS of the harmonics, 50 or 60).

    The harmonics count only where they are at least half of the noise; mains stray by 0.2 Hz.
    """
    best: tuple[float, float, Signal] = (np.inf, 0.0, noise)
    time_s = np.arange(len(noise)) / sample_rate_hz
    for mains_hz in MAINS_HZ:
        for stray_hz in np.arange(-4, 5) * 0.05:
            turns = 2j * np.pi * (mains_hz + stray_hz) * np.outer(time_s, range(1, HARMONICS + 1))
            waves = np.exp(turns)
            basis = np.concatenate([waves.real, waves.imag], axis=1)
            weights = np.linalg.solve(basis.T @ basis, basis.T @ noise)
            rest = noise - basis @ weights
            if (left := rms(rest)) < best[0]:
                best = (left, mains_hz, rest)
    total = rms(noise)
    if best[0] > total * np.sqrt(0.5):
        return noise, 0.0, best[1]
    return best[2], float(np.sqrt(total**2 - best[0] ** 2)), best[1]


# --- gates


def gate_level(predicted: Signal, wet: Signal, offset: float) -> float | None:
    """The level under which the target falls silent although the input plays, in dB, or None.

    predicted: what the best linear filter expects, so that the gear's tone plays no role
    returns: dB against the loud windows (95th percentile) of `predicted`
    """
    expected = 20 * np.log10(window_rms(predicted, GATE_WINDOW) + 1e-10)
    heard = 20 * np.log10(window_rms(wet - offset, GATE_WINDOW) + 1e-10)
    expected -= np.percentile(expected, 95)
    gain = heard - expected
    loud = expected > -15
    gain -= np.median(gain[loud])
    soft = (expected > -60) & ~loud
    shut = soft & (gain < -GATE_DEPTH_DB)
    if int(shut.sum()) < 20:
        return None
    level = float(np.percentile(expected[shut], 90))
    below = soft & (expected < level)
    return level if int((shut & below).sum()) > 0.5 * int(below.sum()) else None
