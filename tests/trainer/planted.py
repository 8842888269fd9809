"""Pairs that are clean, and the faults that tests plant in them. Own code, numpy only."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.signals import riff

Signal = NDArray[np.float64]
RATE_HZ = 48000


class Take(NamedTuple):
    """What a fault makes of a pair: two files' samples (frames,) or (frames, channels)."""

    dry: Signal
    wet: Signal
    wet_rate_hz: int = RATE_HZ


def filtered(signal: Signal, taps: Signal) -> Signal:
    size = 1 << int(np.ceil(np.log2(len(signal) + len(taps))))
    spectrum = np.fft.rfft(signal, size) * np.fft.rfft(taps, size)
    result: Signal = np.fft.irfft(spectrum, size)[: len(signal)]
    return result


def low_pass(signal: Signal, cutoff_hz: float) -> Signal:
    keep = np.exp(-2 * np.pi * cutoff_hz / RATE_HZ)
    return filtered(signal, (1 - keep) * keep ** np.arange(16384))


def high_pass(signal: Signal, cutoff_hz: float) -> Signal:
    return signal - low_pass(signal, cutoff_hz)


def amp(dry: Signal) -> Signal:
    """Coupling capacitor, asymmetric distortion, two low-passes, coupling capacitor."""
    driven = np.tanh(8 * high_pass(dry, 120) + 0.2) - np.tanh(0.2)
    return 0.5 * high_pass(low_pass(low_pass(driven, 5000), 7000), 60)


def input_signal(blips: bool = True) -> Signal:
    """25 s: two blips in silence, a riff that gets softer, a pause, 3 s of the riff twice more."""
    head = np.zeros(2 * RATE_HZ)
    head[[RATE_HZ // 2, 3 * RATE_HZ // 2]] = 0.8
    playing = riff(16.0, RATE_HZ, seed=3)
    levels = np.repeat(10 ** (-np.linspace(0, 30, 8) / 20), 2 * RATE_HZ)
    again, pause = playing[: 3 * RATE_HZ], np.zeros(RATE_HZ)
    body = [playing * levels, pause, again, pause[: RATE_HZ // 5], again, pause]
    return np.concatenate([head, *body] if blips else body)


def moved(signal: Signal, frames: float) -> Signal:
    """Later by `frames`, a whole number or not, same length; band-limited interpolation."""
    size = len(signal) + 8192
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * frames)
    late: Signal = np.fft.irfft(np.fft.rfft(signal, size) * turn, size)[: len(signal)]
    if frames == round(frames):
        late = np.concatenate([np.zeros(int(frames)), signal])[: len(signal)]
    return late


def warped(signal: Signal, ratio: float) -> Signal:
    """`ratio` times as many frames, for a recorder whose clock is faster by that.

    Windowed sinc, 32 frames wide, cut off a little below the lower of the two Nyquist limits.
    """
    count = round(len(signal) * ratio)
    places = np.arange(count) / ratio
    whole = np.floor(places).astype(np.int64)
    part = places - whole
    padded = np.concatenate([np.zeros(16), signal, np.zeros(17)])
    limit = min(1.0, ratio) * (0.95 if abs(ratio - 1) > 0.01 else 1.0)
    result = np.zeros(count)
    for tap in range(-15, 17):
        distance = tap - part
        window = 0.5 + 0.5 * np.cos(np.pi * distance / 16.5)
        result += padded[whole + tap + 16] * limit * np.sinc(limit * distance) * window
    return result


def gated(dry: Signal, wet: Signal) -> Signal:
    """A noise gate on the input's envelope, 30 dB below its maximum, that closes fully."""
    envelope = low_pass(np.abs(dry), 8)
    is_open = (envelope > 0.03 * envelope.max()).astype(np.float64)
    return wet * np.clip(low_pass(is_open, 30), 0, 1) ** 2


def _noise(frames: int) -> Signal:
    return np.random.default_rng(5).standard_normal(frames)


def _hum(frames: int, mains_hz: float) -> Signal:
    time_s = np.arange(frames) / RATE_HZ
    return sum((np.sin(2 * np.pi * mains_hz * k * time_s + k) for k in (1, 2, 3)), np.zeros(frames))


def _echo(wet: Signal) -> Signal:
    late = wet.copy()
    late[14400:] += 0.2 * wet[:-14400]
    return late


def _hole(wet: Signal, first: int, frames: int) -> Signal:
    broken = wet.copy()
    broken[first : first + frames] = 0
    return broken


def _skip(wet: Signal, frames: int) -> Signal:
    half = len(wet) // 2
    return np.concatenate([wet[:half], wet[half + frames :], np.zeros(frames)])


def _broken(wet: Signal) -> Signal:
    bad = wet.copy()
    bad[5000:5003] = np.nan
    return bad


def _clipped(signal: Signal, gain: float) -> Signal:
    flat: Signal = np.clip(gain * signal / np.abs(signal).max(), -1, 1)
    return flat


class Fault(NamedTuple):
    """A planted fault: what it does, and what the doctor must say of it."""

    plant: Callable[[Signal, Signal], Take]
    code: str
    size: float | None = None
    within: float = 0.0


def _wet(change: Callable[[Signal], Signal]) -> Callable[[Signal, Signal], Take]:
    return lambda dry, wet: Take(dry, change(wet))


FAULTS: dict[str, Fault] = {
    "late by 1": Fault(_wet(lambda y: moved(y, 1)), "lag", 1, 0),
    "late by 28": Fault(_wet(lambda y: moved(y, 28)), "lag", 28, 0),
    "late by 1000": Fault(_wet(lambda y: moved(y, 1000)), "lag", 1000, 0),
    "late by half a sample": Fault(_wet(lambda y: moved(y, 0.5)), "lag", 0.5, 0.1),
    "early by 100": Fault(_wet(lambda y: np.concatenate([y[100:], np.zeros(100)])), "lag", -100, 0),
    "inverted": Fault(_wet(lambda y: -y), "polarity", -1, 0),
    "target clipped": Fault(_wet(lambda y: _clipped(y, 1.3)), "clipping"),
    "target clipped, then turned down": Fault(_wet(lambda y: 0.4 * _clipped(y, 1.3)), "clipping"),
    "input clipped": Fault(lambda x, y: Take(_clipped(x, 4), y), "clipping"),
    "44.1 kHz": Fault(lambda x, y: Take(x, warped(y, 44100 / 48000), 44100), "rate", 44100, 0),
    "stereo, the same twice": Fault(_wet(lambda y: np.stack([y, y], 1)), "stereo", 2, 0),
    "stereo, left empty": Fault(_wet(lambda y: np.stack([0 * y, y], 1)), "stereo", 2, 0),
    "1 s tail": Fault(_wet(lambda y: np.concatenate([y, np.zeros(RATE_HZ)])), "tail", 1, 1e-3),
    "ends 0.5 s early": Fault(_wet(lambda y: y[: -RATE_HZ // 2]), "cut", -0.5, 1e-3),
    "gate": Fault(lambda x, y: Take(x, gated(x, y)), "gate"),
    "offset": Fault(_wet(lambda y: y + 0.03), "dc", 0.03, 1e-4),
    "offset of the input": Fault(lambda x, y: Take(x + 0.02, y), "dc", 0.02, 1e-3),
    "drift 20 ppm": Fault(_wet(lambda y: warped(y, 1 + 20e-6)), "drift", 20, 5),
    "drift -50 ppm": Fault(_wet(lambda y: warped(y, 1 - 50e-6)), "drift", -50, 5),
    "silence": Fault(_wet(lambda y: 1e-6 * y), "silence"),
    "swapped": Fault(lambda x, y: Take(y, x), "swapped"),
    "hum 50 Hz": Fault(_wet(lambda y: y + 0.01 * y.std() * _hum(len(y), 50)), "hum", -38.2, 0.5),
    "hum 60 Hz": Fault(_wet(lambda y: y + 0.01 * y.std() * _hum(len(y), 60)), "hum", -38.2, 0.5),
    "noise": Fault(_wet(lambda y: y + 0.01 * y.std() * _noise(len(y))), "noise", -40, 0.5),
    "echo": Fault(_wet(_echo), "time_effect", 0.3, 0.02),
    "64 frames lost": Fault(_wet(lambda y: _skip(y, 64)), "jump", -64, 2),
    "hole of 40 ms": Fault(_wet(lambda y: _hole(y, 4 * RATE_HZ, 1920)), "dropout", 1, 0),
    "not finite": Fault(_wet(_broken), "not_finite", 3, 0),
    "another take": Fault(_wet(lambda y: y[::-1].copy()), "unrelated"),
    "10 s only": Fault(
        lambda x, y: Take(x[4 * RATE_HZ : 14 * RATE_HZ], y[4 * RATE_HZ : 14 * RATE_HZ]),
        "short",
        10,
        0.5,
    ),
}
