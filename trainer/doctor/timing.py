"""When the target answers: lag, polarity, drift and lost frames.

Two clocks.  Blips (single pulses in silence) give the lag to a fraction of a frame.  Without them
the lag is where a causal filter from input to target stops getting better; guitars have little
treble, so this one is only good to a few frames, and a lag of a few frames costs a causal net
nothing.  Polarity is the sign of the strongest correlation: that is what a listener hears when
dry and wet are mixed; the sign of a first half wave says nothing about a valve amp.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trainer.doctor.finding import Signal
from trainer.doctor.memory import correlate, solve_toeplitz

BLOCK = 16384  # of a spectrum; lags beyond a quarter of it are removed beforehand
WINDOW_BLOCKS = 12  # half overlapping blocks of one window
JUMP_REACH = 2048  # frames lost at once that are still recognised
WINDOW_FRAMES = WINDOW_BLOCKS * BLOCK // 2  # 2.05 s at 48 kHz
COARSE = 8  # the first search runs on every eighth frame
# -30 dB of the peak of a blip's answer: the slow rise of a loudspeaker is not its beginning, and
# what lies before costs a causal net an ESR of some 1e-5.
ONSET_SHARE = 1 / 30
KNEE_TAPS = 512
KNEE_SHARE = 0.1  # of the most that one tap is worth; less is noise
KNEE_REACH = 256  # frames searched on both sides of the strongest correlation

Complex = NDArray[np.complex128]


@dataclasses.dataclass(frozen=True)
class Lag:
    """By how much the target comes late, in frames; negative if it comes early."""

    by_blips: float | None
    by_correlation: int
    blips: int  # how many there were
    spread: float  # largest distance of one blip's lag from their mean answer's
    polarity: int  # 1, -1, or 0 where neither sign of correlation is clearly stronger
    correlation: float  # the strongest one, -1..1, of treble-lifted signals


def coarse_lag(dry: Signal, wet: Signal, sample_rate_hz: int) -> int:
    """The lag of the strongest correlation within 10 s, to some 50 frames.

    Each of the loudest passages votes, so that a drift of the clocks does not blur them all.
    """
    small, other = _thinned(dry), _thinned(wet)
    span, reach = 5 * sample_rate_hz // COARSE, 10 * sample_rate_hz // COARSE
    starts = range(0, max(1, len(small) - span // 2), span)
    loudest = sorted(starts, key=lambda s: -float(np.square(small[s : s + span]).sum()))[:8]
    votes: Signal = np.zeros(2 * reach + 1)
    for start in loudest:
        passage = small[start : start + span]
        around = other[max(0, start - reach) : start + span + reach]
        ahead = start - max(0, start - reach)
        curve = np.square(correlate(passage, around, ahead - reach, ahead + reach))
        votes += curve / max(float(curve.max()), 1e-30)
    smooth = np.convolve(votes, np.hanning(17), mode="same")
    return (int(np.argmax(smooth)) - reach) * COARSE


def _thinned(signal: Signal) -> Signal:
    count = len(signal) // COARSE
    thin: Signal = signal[: count * COARSE].reshape(count, COARSE).mean(axis=1)
    return np.diff(thin)  # without the lowest bass, whose correlation is broad


def shifted(signal: Signal, lag_frames: float, frames: int) -> Signal:
    """The signal moved earlier by lag_frames, cut or filled with silence to `frames`.

    A fraction of a frame is a turn of every partial's phase: exact below the Nyquist frequency.
    """
    whole = int(np.floor(lag_frames + 0.5))
    fraction = lag_frames - whole
    if abs(fraction) > 1e-6:
        size = len(signal) + 4096  # room for the ringing, so that it does not wrap around
        turn = np.exp(2j * np.pi * np.fft.rfftfreq(size) * fraction)
        signal = np.fft.irfft(np.fft.rfft(signal, size) * turn, size)[: len(signal)]
    moved = signal[whole:] if whole >= 0 else np.concatenate([np.zeros(-whole), signal])
    moved = moved[:frames]
    return np.concatenate([moved, np.zeros(frames - len(moved))])


# --- blips


def find_blips(signal: Signal, sample_rate_hz: int) -> list[int]:
    """Frames of single pulses with at least 0.2 s of silence around them."""
    level = np.abs(signal)
    peak = float(level.max())
    quiet = int(0.2 * sample_rate_hz)
    loud = np.flatnonzero(level > 0.01 * peak)
    if len(loud) == 0:
        return []
    # A pulse is a group of a few loud frames with quiet gaps on both sides.
    starts = np.flatnonzero(np.diff(loud, prepend=loud[0] - quiet - 1) > quiet)
    ends = np.append(starts[1:], len(loud)) - 1
    found = []
    for start, end in zip(starts, ends, strict=True):
        first, last = int(loud[start]), int(loud[end])
        at = first + int(np.argmax(level[first : last + 1]))
        if last - first < 4 and level[at] > 0.1 * peak and at > 64 and last + quiet < len(level):
            found.append(at)
    return found


def blip_lags(wet: Signal, blips: list[int], reach: int, coarse: int) -> tuple[float, float] | None:
    """(lag of the mean answer, largest distance of a single one), or None if none answers.

    reach: frames looked at before and after the coarse lag
    """
    answers = [
        shifted(wet, at + coarse - reach, 2 * reach)
        for at in blips
        if at + coarse - reach > -reach and at + coarse + reach < len(wet) + reach
    ]
    lags = [lag for answer in answers if (lag := _onset(answer)) is not None]
    mean = _onset(np.mean(answers, axis=0)) if answers else None
    if mean is None or len(lags) < len(answers):
        return None
    return mean + coarse - reach, max(abs(lag - mean) for lag in lags)


def _onset(answer: Signal) -> float | None:
    """Where an answer begins, as a fraction of frames; None if it is no more than noise.

    Something that begins within a frame, moved by a fraction of one, rings before its beginning;
    the fraction is the one that takes this ringing away.
    """
    quarter = len(answer) // 4
    answer = answer - np.median(answer[:quarter])
    noise = float(np.abs(answer[:quarter]).max())
    peak = float(np.abs(answer).max())
    if peak < 10 * noise or peak == 0:
        return None
    threshold = max(ONSET_SHARE * peak, 3 * noise)
    fraction = _fraction(answer, int(np.argmax(np.abs(answer) > threshold)))
    loud = np.abs(shifted(answer, fraction, len(answer))) > threshold
    return float(np.argmax(loud)) + fraction


def _fraction(answer: Signal, onset: int) -> float:
    """-0.5..0.5, 0 unless moving by it leaves a twentieth of the ringing before the onset."""
    steps = np.arange(-50, 51) / 100
    size = 2 * len(answer)
    spectrum = np.fft.rfft(answer, size)
    turns = np.exp(2j * np.pi * np.outer(steps, np.fft.rfftfreq(size)))
    moved = np.fft.irfft(spectrum * turns, size)
    ringing = np.square(moved[:, max(0, onset - 40) : max(1, onset - 1)]).sum(axis=1)
    best = int(np.argmin(ringing))
    return float(steps[best]) if ringing[best] < 0.05 * ringing[50] else 0.0


# --- correlation


def lift_treble(dry: Signal, wet: Signal) -> tuple[Signal, Signal]:
    """Both through the short filter that whitens the dry one: sharper in time."""
    taps = 8
    lags = correlate(dry, dry, 0, taps)
    lags[0] *= 1 + 1e-5
    matrix = lags[np.abs(np.subtract.outer(np.arange(taps), np.arange(taps)))]
    inverse = np.concatenate([[1.0], -np.linalg.solve(matrix, lags[1:])])
    return np.convolve(dry, inverse)[: len(dry)], np.convolve(wet, inverse)[: len(wet)]


def knee(dry: Signal, wet: Signal, middle: int) -> tuple[int, float]:
    """(the start after which a causal filter explains the target worse, strongest correlation).

    Filters of KNEE_TAPS taps are fitted by least squares for each start around `middle`; what a
    start one frame too late loses is the energy of the tap left out.
    """
    dry, wet = lift_treble(dry, wet)
    starts = np.arange(middle - KNEE_REACH, middle + KNEE_REACH + 1)
    auto = correlate(dry, dry, 0, KNEE_TAPS - 1)
    cross = correlate(dry, wet, int(starts[0]), int(starts[-1]) + KNEE_TAPS)
    auto[0] *= 1 + 1e-6
    sides = np.lib.stride_tricks.sliding_window_view(cross, KNEE_TAPS)[: len(starts)].T
    lost = -np.diff(solve_toeplitz(auto, sides))
    strongest = cross[np.argmax(np.abs(cross))] / np.sqrt(auto[0] * float(wet @ wet))
    return int(starts[np.argmax(lost > KNEE_SHARE * lost.max())]), float(strongest)


def polarity(dry: Signal, wet: Signal, middle: int) -> int:
    """1 or -1: the sign of the stronger correlation; 0 if it leads by less than a tenth."""
    both = correlate(dry, wet, middle - KNEE_REACH, middle + KNEE_REACH)
    up, down = float(both.max()), float(-both.min())
    if max(up, down) < 1.1 * min(up, down):
        return 0
    return 1 if up > down else -1


def measure_lag(dry: Signal, wet: Signal, sample_rate_hz: int, coarse: int) -> Lag:
    """dry, wet: (frames,) without their means; coarse: of `coarse_lag`."""
    late, strongest = knee(dry, wet, coarse)
    blips = find_blips(dry, sample_rate_hz)
    found = blip_lags(wet, blips, 4096, coarse) if blips else None
    return Lag(
        by_blips=None if found is None else found[0],
        by_correlation=late,
        blips=len(blips),
        spread=0.0 if found is None else found[1],
        polarity=polarity(dry, wet, coarse),
        correlation=strongest,
    )


# --- drift


def window_coherences(dry: Signal, wet: Signal) -> Complex:
    """The complex coherence of each window: (windows, BLOCK // 2 + 1), 0 where one is silent."""
    hop = BLOCK // 2
    taper = np.hanning(BLOCK)
    length = hop * (WINDOW_BLOCKS + 1)
    count = max(0, (min(len(dry), len(wet)) - length) // (hop * WINDOW_BLOCKS) + 1)
    result: Complex = np.zeros((count, hop + 1), dtype=np.complex128)
    floors = [1e-8 * float(np.mean(np.square(s))) * BLOCK for s in (dry, wet)]
    for number in range(count):
        first = number * hop * WINDOW_BLOCKS
        views = [
            np.lib.stride_tricks.sliding_window_view(s[first : first + length], BLOCK)[::hop]
            for s in (dry, wet)
        ]
        x, y = (np.fft.rfft(view * taper) for view in views)
        power = [np.square(np.abs(z)).mean(axis=0) for z in (x, y)]
        cross = (x.conj() * y).mean(axis=0)
        result[number] = cross / np.sqrt((power[0] + floors[0]) * (power[1] + floors[1]))
    return result


def relative_delay(one: Complex, two: Complex, expected: float, reach: int) -> float:
    """By how many frames `two` comes later than `one`, near `expected`, to a few hundredths."""
    fine = 16
    product = (two * one.conj()).sum(axis=0) if one.ndim == 2 else two * one.conj()
    curve = np.fft.irfft(product, BLOCK * fine)
    offsets = np.arange(int((expected - reach) * fine), int((expected + reach) * fine) + 1)
    values = curve[offsets % len(curve)]
    best = int(np.argmax(values))
    if 0 < best < len(values) - 1:
        left, top, right = values[best - 1 : best + 2]
        bend = left - 2 * top + right
        return float(offsets[best] + (0.5 * (left - right) / bend if bend else 0)) / fine
    return float(offsets[best]) / fine


def measure_drift(windows: Complex) -> tuple[float, float, int]:
    """(drift in frames a window, largest jump in frames against it, window of the jump).

    Windows one apart give a first value; each doubling of the distance refines it, for the lag of
    a window against another needs no knowledge of the gear.
    """
    sounding = windows[np.abs(windows).sum(axis=1) > 0]
    apart, slope = 1, 0.0
    while apart <= max(1, len(sounding) // 2) and len(sounding) > apart:
        expected = slope * apart
        reach = 200 if apart == 1 else 8
        slope = relative_delay(sounding[:-apart], sounding[apart:], expected, reach) / apart
        apart *= 2
    return slope, *_largest_jump(windows, slope)


def _largest_jump(windows: Complex, slope: float) -> tuple[float, int]:
    """(frames by which the lag changes for good, apart from the drift; first window after it)."""
    sounding = np.flatnonzero(np.abs(windows).sum(axis=1) > 0)
    if len(sounding) < 6:
        return 0.0, 0
    turns = 2j * np.pi * np.fft.rfftfreq(BLOCK)
    steady = windows[sounding] * np.exp(np.outer(sounding * slope, turns))
    reference = steady[: max(3, len(steady) // 3)].mean(axis=0)
    lags = np.array([relative_delay(reference, window, 0.0, JUMP_REACH) for window in steady])
    # A window that heard little may say anything: the median of five does not.
    lags = np.median(np.lib.stride_tricks.sliding_window_view(lags, 5), axis=1)
    half = len(lags) // 2
    splits = range(1, len(lags))
    if not half:
        return 0.0, 0
    steps = [float(np.median(lags[at:]) - np.median(lags[:at])) for at in splits]
    rests = [
        float(
            np.abs(lags[:at] - np.median(lags[:at])).sum()
            + np.abs(lags[at:] - np.median(lags[at:])).sum()
        )
        for at in splits
    ]
    best = int(np.argmin(rests))
    return steps[best], int(sounding[best + 3])
