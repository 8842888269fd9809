"""The files as they are: channels, rates, numbers that are none."""

from pathlib import Path

import numpy as np
import soxr

from trainer.data import read_recording
from trainer.doctor.finding import NOTES, STOPS, WARNS, Finding, Signal, decibels, rms

SILENCE_PEAK = 1e-4  # -80 dBFS; below it there is hiss, not playing
ONE_SIDED = 0.01  # a channel 40 dB below the other holds no signal


def load(path: Path) -> tuple[Signal, int, list[Finding]]:
    """(mono float64 (frames,), sample_rate_hz, findings); the findings are about this file alone.

    raises: DataError if it is missing, no audio, or empty
    """
    samples, rate = read_recording(path)
    channels = samples.T.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(channels).all(axis=0))
    if len(bad):
        text = (
            f"{path}: {len(bad)} frames from {bad[0]} on hold no finite number: "
            "export the recording again"
        )
        return channels[0], rate, [Finding("not_finite", STOPS, len(bad), "frames", text)]
    signal, findings = _one_channel(channels, path)
    peak = float(np.abs(signal).max())
    if peak < SILENCE_PEAK:
        text = (
            f"{path}: silent (peak {decibels(peak):.0f} dBFS): check the cable and the channel, "
            "and record again"
        )
        findings = [Finding("silence", STOPS, decibels(peak), "dBFS", text)]
    elif peak < 0.01:
        text = (
            f"{path}: very quiet (peak {decibels(peak):.0f} dBFS): record again with 20 dB more, "
            "or its noise is learnt"
        )
        findings.append(Finding("quiet", WARNS, decibels(peak), "dBFS", text))
    return signal, rate, findings


def _one_channel(channels: Signal, path: Path) -> tuple[Signal, list[Finding]]:
    count = len(channels)
    if count == 1:
        return channels[0], []
    levels = [rms(channel) for channel in channels]
    best = int(np.argmax(levels))
    mixed: Signal = channels.mean(axis=0)
    others = [i for i in range(count) if i != best]
    if all(levels[i] <= ONE_SIDED * levels[best] for i in others):
        taken, what, severity = channels[best], f"only channel {best + 1} has signal: taken", NOTES
    elif all(rms(channels[i] - channels[best]) <= ONE_SIDED * levels[best] for i in others):
        taken, what, severity = channels[0], "they are the same: the first is taken", NOTES
    elif rms(mixed) < 0.5 * levels[best]:
        what = f"they cancel each other: channel {best + 1} is taken; check their polarity"
        taken, severity = channels[best], WARNS
    else:
        what = "they differ: mixed to one; record mono if two microphones are not wanted"
        taken, severity = mixed, WARNS
    text = f"{path}: {count} channels, expected 1; {what}"
    return taken, [Finding("stereo", severity, count, "channels", text, fixed=True)]


def same_rate(
    wet: Signal, wet_rate_hz: int, rate_hz: int, path: Path
) -> tuple[Signal, list[Finding]]:
    """The target at the input's rate; resampled by libsoxr, which adds no lag."""
    if wet_rate_hz == rate_hz:
        return wet, []
    resampled: Signal = soxr.resample(wet, wet_rate_hz, rate_hz, quality="VHQ")
    text = (
        f"{path}: {wet_rate_hz} Hz where the input has {rate_hz} Hz: resampled; set the "
        "recorder to the rate of the input next time"
    )
    return resampled, [Finding("rate", WARNS, wet_rate_hz, "Hz", text, fixed=True)]


def without_drift(wet: Signal, ppm: float) -> Signal:
    """The target as a clock without drift would have recorded it; its first frame stays."""
    steady: Signal = soxr.resample(wet, 1.0 + ppm * 1e-6, 1.0, quality="VHQ")
    return steady
