"""How close two signals are: the figures of `compare` and of a run's report."""

import dataclasses
import math

import auraloss
import numpy as np
import torch
from numpy.typing import NDArray

from trainer.doctor.memory import correlate
from trainer.losses import esr, pre_emphasise

PRE_EMPHASIS = 0.95  # what the papers and NAM's trainer take
SPECTRAL_SECONDS = 10.0  # a distance of spectra is taken over so much at once, then averaged
REACH_SECONDS = 0.5  # a delay is looked for this far to both sides

Signal = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Closeness:
    """Of a prediction to its target; every figure but the correlation is 0 where they are equal."""

    frames: int
    esr: float  # energy of the error over energy of the target
    esr_db: float  # 10 log10 of it: how loud a null test is against the target
    pre_emphasised_esr: float  # after y[t] - 0.95 y[t-1]: treble counts as the ear counts it
    mrstft: float  # auraloss' multi-resolution STFT distance, mean over 10 s
    mae: float  # mean absolute error, full scale 1.0
    peak_error: float  # full scale 1.0
    correlation: float  # Pearson's, -1..1
    dc: float  # squared mean error over the target's power, as in Wright & Valimaki 2019
    delay_frames: float  # by which the prediction is late, to about a tenth


def measure(target: Signal, predicted: Signal, sample_rate_hz: int) -> Closeness:
    """Every figure of two signals (frames,) of one length.

    raises: ValueError where the lengths differ or the target is silent
    """
    pair = [torch.from_numpy(np.ascontiguousarray(s))[None] for s in (predicted, target)]
    value = float(esr(*pair)[0])
    treble = esr(*(pre_emphasise(signal, PRE_EMPHASIS) for signal in pair))
    error = predicted - target
    return Closeness(
        frames=len(target),
        esr=value,
        esr_db=decibels(value),
        pre_emphasised_esr=float(treble[0]),
        mrstft=mrstft(target, predicted, sample_rate_hz),
        mae=float(np.abs(error).mean()),
        peak_error=float(np.abs(error).max()),
        correlation=_correlation(target, predicted),
        dc=float(error.mean() ** 2 / np.square(target).mean()),
        delay_frames=delay(target, predicted, sample_rate_hz),
    )


def decibels(power_ratio: float) -> float:
    """10 log10, with a bottom of -300 dB so that equality is a number."""
    return 10 * math.log10(max(power_ratio, 1e-30))


def mrstft(target: Signal, predicted: Signal, sample_rate_hz: int) -> float:
    """The mean of auraloss' distance over windows of 10 s; NaN where all are too short or silent.

    Source: Yamamoto et al. 2020, arXiv:1910.11480, in auraloss' default resolutions
    """
    distance = auraloss.freq.MultiResolutionSTFTLoss()
    window = int(SPECTRAL_SECONDS * sample_rate_hz)
    values, weights = [], []
    for first in range(0, len(target), window):
        one, two = target[first : first + window], predicted[first : first + window]
        if len(one) < 2048 or not one.any():
            continue
        pair = [torch.from_numpy(s.astype(np.float32))[None, None] for s in (two, one)]
        values.append(float(distance(*pair)))
        weights.append(len(one))
    return float(np.average(values, weights=weights)) if values else math.nan


def delay(target: Signal, predicted: Signal, sample_rate_hz: int) -> float:
    """Frames by which the prediction lags: the peak of the correlation, between its frames by a
    parabola."""
    reach = min(int(REACH_SECONDS * sample_rate_hz), len(target) // 2)
    curve = np.abs(correlate(target - target.mean(), predicted - predicted.mean(), -reach, reach))
    best = int(np.argmax(curve))
    if not 0 < best < len(curve) - 1:
        return float(best - reach)
    before, here, after = curve[best - 1 : best + 2]
    bend = before - 2 * here + after
    return float(best - reach + (0.5 * (before - after) / bend if bend else 0.0))


def passages(
    target: Signal, predicted: Signal, sample_rate_hz: int, seconds: float = 2.0
) -> list[tuple[int, float]]:
    """(first frame, ESR) of each passage of so many seconds that is no silence: above -60 dB of
    the target's mean power."""
    length, power = int(seconds * sample_rate_hz), float(np.square(target).mean())
    found = []
    for first in range(0, max(1, len(target) - length // 2), length):
        one, two = target[first : first + length], predicted[first : first + length]
        energy = float(np.square(one).sum())
        if energy > 1e-6 * power * len(one):
            found.append((first, float(np.square(two - one).sum()) / energy))
    return found


def _correlation(target: Signal, predicted: Signal) -> float:
    one, two = target - target.mean(), predicted - predicted.mean()
    scale = math.sqrt(float(one @ one) * float(two @ two))
    return float(one @ two) / scale if scale else 0.0
