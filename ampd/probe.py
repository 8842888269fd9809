"""What a model or a rig is asked, and what its answer says: loudness, faults, delay, polarity.

`guitar_signal` asks for the loudness.  It is the same at every sample rate, since it is worked out
from time and not from samples: three seconds of the six open strings and their octaves, a note
every quarter of a second, peak 0.3 of full scale, which is a guitar with passive pick-ups.

Loudness is weighed by ear, with the K-weighting of ITU-R BS.1770-5 (annex 1): sub-bass counts
little and direct current nothing.  It has no gate, since the guitar does not pause, and it is the
mean of both sides, so that a mono rig reads as its model does; a stereo meter, which adds the
sides, shows 3 dB more.  The RMS is there to be compared with what the metadata of NAM's files and
of ours claims.
"""

import functools
import math
from dataclasses import dataclass

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

SETTLE_S = 0.5  # of silence; what is heard in its second half is what the model does on its own
CLICK_S = 0.5  # in which a click is answered
CLICK = 0.1  # of full scale: a click that a guitar could make
BEGIN = 0.1  # of the answer's largest excursion: nets ring before it, rarely that loud
FAINTEST = 1e-6
NOISE_MARGIN = 4.0  # times the RMS of a model's own noise: what does not reach that is no answer
ONE_SIDED = 2.0  # times as far as to the other side: an answer to a click that has a polarity
LOW_BAND_HZ = (60.0, 400.0)
LIKENESS = 0.5  # correlation of the low bands from which their sign counts

# The two filters of BS.1770 at 48 kHz, numerator and denominator: the head, then the high-pass.
K_RATE_HZ = 48000
K_FILTERS = (
    (
        (1.53512485958697, -2.69169618940638, 1.19839281085285),
        (1.0, -1.69065929318241, 0.73248077421585),
    ),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
K_OFFSET_DB = -0.691


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


@functools.cache
def examination_signal(sample_rate_hz: int) -> NDArray[np.float32]:
    """What a model is examined with: silence, a click of 0.1, the guitar; (frames,), 4 s. Not to
    be written to."""
    silence = np.zeros(round(SETTLE_S * sample_rate_hz), np.float32)
    click = np.zeros(round(CLICK_S * sample_rate_hz), np.float32)
    click[0] = CLICK
    kept = np.concatenate([silence, click, guitar_signal(sample_rate_hz)])
    kept.flags.writeable = False
    return kept


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model's answer says of it. -200 dBFS is nothing at all."""

    loudness_lufs: float  # of the guitar, K-weighted
    rms_dbfs: float  # of the guitar, direct current left out
    dc_dbfs: float  # for silence
    noise_dbfs: float  # RMS for silence, direct current left out
    polarity: int  # 1 as the input, -1 upside down, 0 where it cannot be told
    latency_frames: int | None  # until the answer to a click begins; None where there is none


def read_answer(sound: NDArray[np.float32], sample_rate_hz: int) -> Answer:
    """What the answer to examination_signal says. sound: (frames,), of the same length; numbers
    that are not finite count as silence."""
    heard = np.nan_to_num(sound.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    settle, click = round(SETTLE_S * sample_rate_hz), round(CLICK_S * sample_rate_hz)
    idle = heard[settle // 2 : settle]
    guitar = heard[settle + click :]
    struck = heard[settle : settle + click] - idle.mean()
    noise = float(idle.std())
    begin = _beginning(struck, noise)
    return Answer(
        loudness_lufs=loudness_lufs(guitar, sample_rate_hz),
        rms_dbfs=rms_dbfs(guitar),
        dc_dbfs=_dbfs(abs(float(idle.mean()))),
        noise_dbfs=_dbfs(noise),
        polarity=0 if begin is None else _polarity(struck, begin, guitar, sample_rate_hz),
        latency_frames=begin,
    )


def _beginning(struck: NDArray[np.float64], noise: float) -> int | None:
    size = np.abs(struck)
    edge = max(BEGIN * float(size.max()), NOISE_MARGIN * noise, FAINTEST)
    return int(np.argmax(size >= edge)) if size.max() >= edge else None


def _polarity(
    struck: NDArray[np.float64], begin: int, guitar: NDArray[np.float64], sample_rate_hz: int
) -> int:
    """Two witnesses: the side to which a click is answered, and whether the low bands of guitar
    and answer are alike. One that is not sure is not heard, as behind most speakers; where they
    contradict each other, nothing is told."""
    up, down = float(struck.max()), -float(struck.min())
    likeness = _likeness(guitar_signal(sample_rate_hz), guitar, begin, sample_rate_hz)
    by_click = int(up >= ONE_SIDED * down) - int(down >= ONE_SIDED * up)
    by_band = int(likeness >= LIKENESS) - int(likeness <= -LIKENESS)
    return int(np.sign(by_click + by_band))


def _likeness(
    asked: NDArray[np.float32], answer: NDArray[np.float64], delay_frames: int, sample_rate_hz: int
) -> float:
    """Correlation of the low bands, -1 to 1, the delay taken out."""
    at_hz = np.fft.rfftfreq(len(answer), 1 / sample_rate_hz)
    band = (at_hz >= LOW_BAND_HZ[0]) & (at_hz <= LOW_BAND_HZ[1])
    turn = np.exp(2j * np.pi * at_hz[band] * delay_frames / sample_rate_hz)
    before = np.fft.rfft(asked.astype(np.float64))[band]
    after = np.fft.rfft(answer)[band] * turn
    power = float(np.sum(np.abs(before) ** 2) * np.sum(np.abs(after) ** 2))
    return float(np.real(np.vdot(before, after))) / math.sqrt(power) if power > 0 else 0.0


def loudness_lufs(sound: NDArray[np.floating], sample_rate_hz: int) -> float:
    """K-weighted loudness in dB of full scale: -3.01 for a 997 Hz sine of full scale; -200 for
    silence.

    sound: (frames,) or (sides, frames), 100 ms or more.  It is taken as going round and round,
    which leaves steady direct current without an edge.  The weight of a frequency is that of the
    standard's filters at 48 kHz whatever the rate is, and nothing above 24 kHz.
    """
    sides = np.atleast_2d(sound).astype(np.float64)
    frames = sides.shape[1]
    at_hz = np.fft.rfftfreq(frames, 1 / sample_rate_hz)
    power = np.abs(np.fft.rfft(sides, axis=1)) ** 2 * _k_weight(at_hz)
    mean_square = 2 * float(power.sum()) / frames**2 / len(sides)
    if mean_square <= 0:
        return QUIETEST_DBFS
    return max(QUIETEST_DBFS, K_OFFSET_DB + 10 * math.log10(mean_square))


def _k_weight(at_hz: NDArray[np.floating]) -> NDArray[np.float64]:
    """Power gain of BS.1770's filters at each frequency."""
    delay = np.exp(-2j * np.pi * at_hz / K_RATE_HZ)  # z^-1
    weight = np.where(at_hz <= K_RATE_HZ / 2, 1.0, 0.0)
    for numerator, denominator in K_FILTERS:
        response = np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)
        weight *= np.abs(response) ** 2
    return weight


def rms_dbfs(sound: NDArray[np.floating]) -> float:
    """RMS in dB of full scale, direct current left out; -200 for silence."""
    return _dbfs(float(np.std(sound.astype(np.float64))))


def _dbfs(level: float) -> float:
    return max(QUIETEST_DBFS, 20 * math.log10(level)) if level > 0 else QUIETEST_DBFS
