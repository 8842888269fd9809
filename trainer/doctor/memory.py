"""How much memory the gear has, and how exactly it answers twice.

The best causal filter of every length up to MAX_TAPS, by one Levinson recursion: each step of it
is the filter of one more tap, and what that filter leaves unexplained comes for free.
"""

import dataclasses

import numpy as np

from trainer.doctor.finding import Signal

MAX_TAPS = 4096
SHOWN_TAPS = (16, 127, 512, 2048, 4096)
RELATION_TAPS = 512
ENOUGH = 1.1  # a memory within a tenth of the best ESR of any is enough
BLOCK = 1 << 16
CURVE_POINTS = 256
SORTED_FRAMES = 200_000  # of a long recording say where its samples lie


@dataclasses.dataclass(frozen=True)
class Memory:
    """What filters of growing length leave unexplained, as ESR on the frames measured."""

    esr_by_taps: dict[int, float]  # of SHOWN_TAPS, the best causal filter
    curved_esr_by_taps: dict[int, float]  # the same behind a filter and a static curve
    frames: int  # shortest memory that is ENOUGH, of whichever of the two needs more
    static_esr: float  # a curve without memory


def correlate(one: Signal, two: Signal, first: int, last: int) -> Signal:
    """sum over n of one[n] two[n + k], for k = first..last; silence lies around both.

    In blocks, so that a long recording needs little more memory than itself.
    """
    span = last - first + 1
    size = max(BLOCK, 1 << int(np.ceil(np.log2(2 * span))))
    block = size - span + 1
    total = np.zeros(size // 2 + 1, dtype=np.complex128)
    for start in range(0, len(one), block):
        piece = one[start : start + block]
        begin, end = start + first, start + first + size
        other = two[max(0, begin) : max(0, end)]
        padded = np.zeros(size)
        offset = max(0, -begin)
        padded[offset : offset + len(other)] = other
        total += np.fft.rfft(piece, size).conj() * np.fft.rfft(padded)
    result: Signal = np.fft.irfft(total, size)[:span]
    return result


def convolve(signal: Signal, taps: Signal) -> Signal:
    """The causal filter's answer, (frames,)."""
    size = max(BLOCK, 1 << int(np.ceil(np.log2(4 * len(taps)))))
    block = size - len(taps) + 1
    spectrum = np.fft.rfft(taps, size)
    result = np.zeros(len(signal) + size)
    for start in range(0, len(signal), block):
        piece = np.fft.rfft(signal[start : start + block], size)
        result[start : start + size] += np.fft.irfft(piece * spectrum, size)
    return result[: len(signal)]


def solve_toeplitz(auto: Signal, sides: Signal) -> Signal:
    """T x = each column of `sides`, T the symmetric matrix of auto[|i - j|]; by Cholesky.

    returns: (columns,) energies x . side
    """
    count = len(auto)
    matrix = auto[np.abs(np.subtract.outer(np.arange(count), np.arange(count)))]
    half = np.linalg.solve(np.linalg.cholesky(matrix), sides)
    energies: Signal = np.square(half).sum(axis=0)
    return energies


def levinson(auto: Signal, cross: Signal) -> tuple[Signal, Signal]:
    """(the best filter of all taps, energy explained by the best filter of 1, 2, ... taps).

    auto, cross: (taps,) correlations of the input with itself and with the target at lags 0, 1..
    source: N. Levinson 1947, "The Wiener RMS error criterion in filter design and prediction"
    """
    taps = len(auto)
    predictor, weights = np.zeros(taps), np.zeros(taps)
    predictor[0] = 1.0
    error = float(auto[0])
    weights[0] = cross[0] / error
    explained = np.zeros(taps)
    explained[0] = weights[0] * cross[0]
    for order in range(1, taps):
        reflection = -float(predictor[:order] @ auto[order:0:-1]) / error
        predictor[: order + 1] += reflection * predictor[order::-1]
        error *= 1 - reflection * reflection
        weight = (float(cross[order]) - float(weights[:order] @ auto[order:0:-1])) / error
        weights[: order + 1] += weight * predictor[order::-1]
        explained[order] = explained[order - 1] + weight * weight * error
    return weights, explained


def best_filter(dry: Signal, wet: Signal, taps: int = MAX_TAPS) -> tuple[Signal, Signal]:
    """(the causal filter, ESR left by the best one of 1, 2, ... taps)."""
    auto, cross = correlate(dry, dry, 0, taps - 1), correlate(dry, wet, 0, taps - 1)
    auto[0] *= 1 + 1e-7  # -70 dB of white noise keeps bands without sound solvable
    weights, explained = levinson(auto, cross)
    return weights, 1 - explained / float(wet @ wet)


def static_curve(dry: Signal, wet: Signal) -> Signal:
    """What the mean target is for each value of dry, applied to dry: no memory at all.

    Points lie where the samples do: as many of them between two points everywhere.
    """
    some = np.sort(dry[:: max(1, len(dry) // SORTED_FRAMES)])
    edges = np.unique(some[:: max(1, len(some) // CURVE_POINTS)])[1:]
    group = np.searchsorted(edges, dry)
    groups = len(edges) + 1  # the last is empty where the input is clipped
    counts = np.bincount(group, minlength=groups)
    filled = counts > 0
    places, means = (np.bincount(group, s, groups)[filled] / counts[filled] for s in (dry, wet))
    curve: Signal = np.interp(dry, places, means)
    return curve


def measure_memory(dry: Signal, wet: Signal) -> tuple[Memory, Signal]:
    """(memory, the best filter); dry, wet: aligned (frames,), without constant offset.

    The second look is filter -> static curve -> filter, fitted one after the other: for gear whose
    distortion hides from a filter how long its last part remembers.
    """
    weights, left = best_filter(dry, wet)
    bent = static_curve(convolve(dry, weights[:512]), wet)
    _, left_bent = best_filter(bent - bent.mean(), wet)
    energy = float(wet @ wet)
    static = float(np.square(static_curve(dry, wet) - wet).sum()) / energy
    frames = max(_enough(left), _enough(left_bent))
    return (
        Memory(
            esr_by_taps={n: float(left[n - 1]) for n in SHOWN_TAPS},
            curved_esr_by_taps={n: float(left_bent[n - 1]) for n in SHOWN_TAPS},
            frames=frames,
            static_esr=static,
        ),
        weights,
    )


def explained_by_chance(dry: Signal, wet: Signal) -> float:
    """Share of the target's energy that a filter of RELATION_TAPS explains at a wrong place."""
    shares = []
    for thirds in (1, 2):
        wrong = np.roll(wet, len(wet) * thirds // 3)
        _, left = best_filter(dry, wrong, RELATION_TAPS)
        shares.append(1 - float(left[-1]))
    return max(shares)


def _enough(left: Signal) -> int:
    return int(np.argmax(left <= ENOUGH * max(float(left[-1]), 1e-6))) + 1


# --- the same passage twice


@dataclasses.dataclass(frozen=True)
class Repeat:
    """A passage that the input holds twice, sample for sample."""

    first: int  # frame where it begins
    second: int
    frames: int
    self_esr: float  # of the target's two answers: no model can be closer than half of this


def find_repeat(dry: Signal, wet: Signal, sample_rate_hz: int) -> Repeat | None:
    """The longest passage of 0.5 s or more that comes twice; None if there is none.

    Peaks are sorted by their exact values: equal ones vote for the distance between them.
    """
    level = np.abs(dry)
    inner = level[1:-1]
    peaks = np.flatnonzero((inner > level[:-2]) & (inner >= level[2:]) & (inner > 1e-3)) + 1
    if len(peaks) < 2:
        return None
    keys = dry[peaks] + 1.7 * dry[peaks - 1] + 2.3 * dry[peaks + 1]
    order = np.argsort(keys, kind="stable")
    equal = np.flatnonzero(np.diff(keys[order]) == 0)
    distances = np.abs(peaks[order[equal + 1]] - peaks[order[equal]])
    distances = distances[distances > sample_rate_hz // 2]
    if len(distances) == 0:
        return None
    values, counts = np.unique(distances, return_counts=True)
    distance = int(values[np.argmax(counts)])
    return _measure_repeat(dry, wet, distance, sample_rate_hz)


def _measure_repeat(dry: Signal, wet: Signal, distance: int, sample_rate_hz: int) -> Repeat | None:
    same = np.concatenate([[0], (dry[:-distance] == dry[distance:]).astype(np.int8), [0]])
    edges = np.diff(same)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    energies = np.concatenate([[0.0], np.cumsum(np.square(dry))])
    if len(starts) == 0:
        return None
    best = int(np.argmax(energies[ends] - energies[starts]))
    # What the gear still hears of the time before is no part of the comparison.
    start, end = int(starts[best]) + sample_rate_hz // 4, int(ends[best])
    end = min(end, len(wet) - distance)
    if end - start < sample_rate_hz // 2:
        return None
    one, two = wet[start:end], wet[start + distance : end + distance]
    energy = float(one @ one)
    if energy == 0:
        return None
    return Repeat(start, start + distance, end - start, float(np.square(one - two).sum()) / energy)


# --- echoes


def late_share(dry: Signal, wet: Signal, weights: Signal, sample_rate_hz: int) -> tuple[float, int]:
    """(share of the target's energy that comes more than MAX_TAPS later, its lag in frames).

    Filters of 512 taps are fitted to what `weights` leaves, at all lags up to 2.5 s.  An echo
    stands out among them, and has no twin before the sound as a repeated phrase has.
    """
    taps, reach = 512, int(2.5 * sample_rate_hz)
    count = (reach - MAX_TAPS) // taps
    rest = wet - convolve(dry, weights)
    auto = correlate(dry, dry, 0, taps - 1)
    auto[0] *= 1 + 1e-6
    late = correlate(dry, rest, MAX_TAPS, MAX_TAPS + count * taps - 1).reshape(count, taps).T
    early = correlate(dry, rest, -MAX_TAPS - count * taps + 1, -MAX_TAPS).reshape(count, taps).T
    energy = float(wet @ wet)
    after = solve_toeplitz(auto, late) / energy
    before = solve_toeplitz(auto, early) / energy
    alone = (after > 3 * before[::-1]) & (after > 2 * np.percentile(before, 95))
    echoes = np.where(alone & (after > 6 * np.median(after)), after, 0.0)
    best = int(np.argmax(echoes))
    return float(echoes[best]), MAX_TAPS + best * taps
