"""A guitar part made from nothing but numbers: plucked strings, a pickup, an amp's clean input.

    python -m tests.demo.guitar OUT.wav

Each string is the loop of Karplus and Strong (1983) with the extensions of Jaffe and Smith (1983):
a pick position (comb), a fractional delay for the pitch, a loss per turn, a darker soft pluck.
The same seed gives the same samples everywhere.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 48_000
PEAK = 0.5
SEED = 1974
ATTACK_FRAMES = 96  # a pick lets go within 2 ms
BEAT_S = 60.0 / 94.0
OPEN_STRINGS = (40, 45, 50, 55, 59, 64)  # MIDI notes of E A D G B e

Signal = NDArray[np.float32]
Wave = NDArray[np.float64]

# start in beats, frets from the low E string (-1: not struck), length in beats, strength, strum ms
Frets = tuple[int, ...]
Stroke = tuple[float, Frets, float, float, float]

E5: Frets = (0, 2, 2)
G5: Frets = (3, 5, 5)
A5: Frets = (5, 7, 7)
D5: Frets = (-1, 5, 7, 7)
EM: Frets = (0, 2, 2, 0, 0, 0)
G: Frets = (3, 2, 0, 0, 0, 3)
D: Frets = (-1, -1, 0, 2, 3, 2)
CADD9: Frets = (-1, 3, 2, 0, 3, 0)


def _note(string: int, fret: int) -> tuple[int, ...]:
    return (*(-1,) * string, fret)


def score() -> list[Stroke]:
    """About 24 s: open chords, a riff in fifths with palm mutes, single notes, two last chords."""
    strokes: list[Stroke] = []
    for bar, chord in enumerate((EM, G, D, CADD9)):
        beat = 2.5 * bar
        strokes += [(beat, chord, 1.5, 0.8, 28.0), (beat + 1.5, chord, 1.0, 0.55, 14.0)]
    start = 10.0
    riff = (E5, E5, G5, E5, A5, E5, G5, D5)
    for bar in range(2):
        for step, chord in enumerate(riff):
            muted = chord == E5 and step != 0
            length = 0.22 if muted else 0.5
            strokes.append((start + 4.0 * bar + 0.5 * step, chord, length, 0.9, 5.0))
    line = (  # (string, fret, beats): E minor pentatonic, twelfth position
        *((3, 12, 0.5), (3, 14, 0.5), (4, 12, 0.5), (4, 15, 0.5), (5, 12, 1.0), (5, 15, 0.5)),
        *((5, 12, 0.5), (4, 15, 0.5), (4, 12, 0.5), (3, 14, 1.0), (3, 12, 0.5), (2, 14, 0.5)),
        *((3, 12, 0.25), (3, 14, 0.25), (4, 12, 0.25), (4, 15, 0.25), (5, 12, 0.5), (5, 15, 1.5)),
    )
    beat = 18.0
    for string, fret, length in line:
        strokes.append((beat, _note(string, fret), length, 1.6, 0.0))
        beat += length
    strokes += [(beat + 4.0 * i, chord, 4.0, 0.9, 40.0) for i, chord in enumerate((CADD9, EM))]
    return strokes


def pluck(note: float, length_s: float, strength: float, rng: np.random.Generator) -> Wave:
    """One struck string, damped by the hand after `length_s`.

    note: MIDI number, may be fractional (cents of a real guitar); strength: 0..1
    returns: (frames,), a third of a second longer than the note
    """
    period = SAMPLE_RATE_HZ / (440.0 * 2.0 ** ((note - 69.0) / 12.0))
    # Highs die faster than lows, but a full average would choke a thin string's short loop.
    loss = float(np.interp(note, (40.0, 80.0), (0.35, 0.06)))
    delay = int(period - loss) - 1
    taps = np.convolve((1.0 - loss, loss), _part_of_a_frame(period - loss - delay))
    burst = _pick_noise(delay, strength, rng)
    frames = int((length_s + 0.33) * SAMPLE_RATE_HZ)
    ring = 10.0 ** (-3.0 * period / SAMPLE_RATE_HZ / max(2.0, 12.0 - 0.1 * note))
    damped = 10.0 ** (-3.0 * period / SAMPLE_RATE_HZ / 0.12)
    return _loop(burst, taps, frames, int(length_s * SAMPLE_RATE_HZ), ring, damped)


def _pick_noise(delay: int, strength: float, rng: np.random.Generator) -> Wave:
    """What the pick leaves on the string: noise, darker when soft, hollow where it was struck."""
    noise = rng.uniform(-1.0, 1.0, delay)
    for _ in range(1 + int(3 * (1.0 - strength))):
        noise = 0.5 * (noise + np.roll(noise, 1))
    noise -= np.roll(noise, max(1, int(0.18 * delay)))
    noise -= noise.mean()
    return np.asarray(strength * noise / np.sqrt(np.mean(np.square(noise)) + 1e-9) / 3.0)


def _part_of_a_frame(delay: float) -> Wave:
    """Taps of Lagrange's cubic: a delay of 1..2 frames that leaves the treble in the string."""
    points = np.arange(4.0)
    return np.array([np.prod([(delay - m) / (k - m) for m in points if m != k]) for k in points])


def _loop(
    burst: Wave, taps: Wave, frames: int, held_frames: int, ring: float, damped: float
) -> Wave:
    """The string's travelling wave, one turn at a time: each turn is the last one, filtered."""
    delay = len(burst)
    sound = np.zeros(frames + delay)
    sound[:delay] = burst
    for start in range(delay, frames, delay):
        count = min(delay, frames + delay - start)
        gain = ring if start < held_frames else damped
        turn = np.zeros(count)
        for lag, weight in enumerate(taps):
            before = start - delay - lag
            head = sound[max(0, before) : before + count]
            turn[count - len(head) :] += weight * head
        sound[start : start + count] = gain * turn
    return sound[:frames]


def _body(sound: Wave) -> Wave:
    """A magnetic pickup: a resonance near 3.5 kHz over a roll-off, nothing below 60 Hz."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1.0 / SAMPLE_RATE_HZ)
    ratio = hz / 3500.0
    pickup = 1.0 / np.sqrt((1.0 - ratio**2) ** 2 + (ratio / 1.6) ** 2)
    pickup /= 1.0 + (hz / 7000.0) ** 2  # the cable
    coupling = (hz / 60.0) ** 2 / (1.0 + (hz / 60.0) ** 2)
    return np.asarray(np.fft.irfft(spectrum * pickup * coupling, len(sound)))


def make() -> Signal:
    """The whole part: (frames,) mono at 48 kHz, peak 0.5, first and last sample silent."""
    rng = np.random.default_rng(SEED)
    strokes = score()
    total_s = max(beat + length for beat, _, length, _, _ in strokes) * BEAT_S + 0.8
    mix = np.zeros(int(total_s * SAMPLE_RATE_HZ))
    for beat, frets, length, strength, strum_ms in strokes:
        struck = [(string, fret) for string, fret in enumerate(frets) if fret >= 0]
        for order, (string, fret) in enumerate(struck):
            at_s = 0.2 + beat * BEAT_S + order * strum_ms / 1000.0 + rng.uniform(0.0, 0.004)
            cents = rng.normal(0.0, 0.02)
            note = pluck(OPEN_STRINGS[string] + fret + cents, length * BEAT_S, strength, rng)
            start = int(at_s * SAMPLE_RATE_HZ)
            end = min(len(mix), start + len(note))
            note[:ATTACK_FRAMES] *= np.linspace(0.0, 1.0, ATTACK_FRAMES)
            mix[start:end] += note[: end - start]
    mix = _body(mix)
    edge = np.linspace(0.0, 1.0, int(0.01 * SAMPLE_RATE_HZ))
    mix[: len(edge)] *= edge
    mix[-len(edge) :] *= edge[::-1]
    return np.asarray(PEAK * mix / np.abs(mix).max(), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the demo's guitar part as a WAV file.")
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    sf.write(out, make(), SAMPLE_RATE_HZ, subtype="FLOAT")


if __name__ == "__main__":
    main()
