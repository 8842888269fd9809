"""What a net adds that the gear does not: partials folded back at half the sample rate.

A sine goes in; of what comes out, harmonics are the sound of the distortion, and everything between
them is aliasing.  The sine's period divides a prime number of frames, so that in a DFT of that
length each partial, folded or not, has a bin of its own and no window is needed.

Source: Sato & Smith 2025, "Aliasing Reduction in Neural Amp Modeling by Smoothing Activations",
arXiv:2505.04082: aliasing-to-signal ratio, energy of all other bins over that of the harmonics.
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.closeness import decibels
from trainer.networks import Network, reference_forward

FREQUENCIES_HZ = (1250.0, 2500.0, 5000.0)
PEAK = 0.25  # -12 dBFS: a loud note of a well recorded guitar
FRAMES = 20011  # a prime: at 48 kHz a bin is 2.4 Hz wide


@dataclasses.dataclass(frozen=True)
class Aliasing:
    """Of one sine."""

    frequency_hz: float
    ratio_db: float  # aliasing-to-signal ratio
    bins_hz: NDArray[np.float64]  # (bins,), without that of 0 Hz
    levels_db: NDArray[np.float64]  # (bins,), against the strongest
    harmonic: NDArray[np.bool_]  # (bins,)


def probe(net: Network, sample_rate_hz: int) -> list[Aliasing]:
    """The answers of a net to FREQUENCIES_HZ, each to the nearest bin, in float64."""
    return [_probe(net, sample_rate_hz, frequency) for frequency in FREQUENCIES_HZ]


def _probe(net: Network, sample_rate_hz: int, frequency_hz: float) -> Aliasing:
    number = max(1, round(frequency_hz * FRAMES / sample_rate_hz))
    settle = net.settle_frames + net.after_frames
    time = np.arange(settle + FRAMES + net.after_frames)
    sine = PEAK * np.sin(2 * np.pi * (number * time % FRAMES) / FRAMES)
    answer = reference_forward(net, torch.from_numpy(sine), settle, settle + FRAMES).numpy()
    power = np.square(np.abs(np.fft.rfft(answer)))[1:]
    harmonic = np.arange(1, len(power) + 1) % number == 0
    signal, rest = float(power[harmonic].sum()), float(power[~harmonic].sum())
    return Aliasing(
        frequency_hz=number * sample_rate_hz / FRAMES,
        ratio_db=decibels(rest / max(signal, 1e-30)),
        bins_hz=np.arange(1, len(power) + 1) * sample_rate_hz / FRAMES,
        levels_db=10 * np.log10(np.maximum(power / max(float(power.max()), 1e-30), 1e-20)),
        harmonic=harmonic,
    )
