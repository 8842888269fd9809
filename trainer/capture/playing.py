"""A guitarist made of arithmetic: phrases in turn, soft and loud, with rests between them.

What a net must have heard before it can play: single notes, chords, muted strings, notes that
ring until they are gone; each at many levels, because an amp is another amp at each of them.
"""

from collections.abc import Callable

import numpy as np

from trainer.signals import RIFF_HZ, Signal, pluck

PHRASE_S = 3.0
REST_S = 0.4
REST_EVERY = 3  # phrases
SOFTEST_DB = -26.0
CHORDS = (  # fret on each string, low to high; -1: not played
    (0, 2, 2, 1, 0, 0),
    (-1, 0, 2, 2, 2, 0),
    (3, 2, 0, 0, 0, 3),
    (-1, 3, 2, 0, 1, 0),
    (-1, -1, 0, 2, 3, 2),
    (1, 3, 3, -1, -1, -1),
)
SCALE = (0, 3, 5, 7, 10)  # minor pentatonic, in frets

Random = np.random.Generator


class Page:
    """A phrase that is being written: notes are added at their times."""

    def __init__(self, seconds: float, sample_rate_hz: int, random: Random) -> None:
        self.samples: Signal = np.zeros(round(seconds * sample_rate_hz))
        self.random, self._rate = random, sample_rate_hz

    def note(self, at_s: float, string: int, fret: int, rings_s: float, damped_s: float) -> None:
        """Pluck a string; damped_s is the time in which a hand on it takes off 63 %."""
        first = round(at_s * self._rate)
        frames = min(len(self.samples) - first, round(rings_s * self._rate))
        if frames < 64:
            return
        out_of_tune = 1 + 0.003 * self.random.uniform(-1, 1)
        frequency_hz = RIFF_HZ[string] * 2 ** (fret / 12) * out_of_tune
        velocity = self.random.uniform(0.5, 1.0)
        sound = velocity * pluck(frequency_hz, frames, self._rate, self.random)
        sound *= np.exp(-np.arange(frames) / (damped_s * self._rate))
        fade = min(frames, self._rate // 200)
        sound[-fade:] *= np.linspace(1, 0, fade)
        self.samples[first : first + frames] += sound

    def chord(self, at_s: float, frets: tuple[int, ...], rings_s: float, damped_s: float) -> None:
        """Strum, 12 ms from string to string."""
        for string, fret in enumerate(frets):
            if fret >= 0:
                self.note(at_s + 0.012 * string, string, fret, rings_s, damped_s)


def _melody(page: Page) -> None:
    step = int(page.random.integers(0, 10))
    at_s = 0.0
    while at_s < PHRASE_S:
        length_s = float(page.random.choice((0.125, 0.25, 0.25, 0.5)))
        step = int(np.clip(step + page.random.integers(-2, 3), 0, 14))
        page.note(at_s, 2 + step // 5, SCALE[step % 5], length_s + 0.05, 2.0)
        at_s += length_s


def _strum(page: Page) -> None:
    for beat in range(int(PHRASE_S / 0.5)):
        if beat % 3 == 0:
            frets = CHORDS[int(page.random.integers(len(CHORDS)))]
        page.chord(beat * 0.5, frets, 0.6, 1.5)


def _muted(page: Page) -> None:
    root = int(page.random.integers(0, 8))
    for beat in range(int(PHRASE_S / 0.125)):
        fret = root + int(page.random.choice((0, 0, 0, 3, 5)))
        for string, above in ((0, 0), (1, 2)):
            page.note(beat * 0.125, string, fret + above, 0.125, 0.05)


def _arpeggio(page: Page) -> None:
    frets = CHORDS[int(page.random.integers(len(CHORDS)))]
    strings = [string for string, fret in enumerate(frets) if fret >= 0]
    for beat in range(int(PHRASE_S / 0.25)):
        string = strings[(beat * 3) % len(strings)]
        page.note(beat * 0.25, string, frets[string], 1.2, 2.0)


def _held(page: Page) -> None:
    page.chord(0.0, CHORDS[int(page.random.integers(len(CHORDS)))], PHRASE_S, 1.2)


STYLES: tuple[Callable[[Page], None], ...] = (_strum, _melody, _muted, _arpeggio, _held)


def play(seconds: float, sample_rate_hz: int, peak: float, seed: int) -> Signal:
    """Phrases of every style in turn, each as loud as chance will have it.

    returns: (frames,), |x| <= peak; the same on every machine but for the last bits of float64
    """
    random = np.random.default_rng(seed)
    frames = round(seconds * sample_rate_hz)
    signal: Signal = np.zeros(frames)
    first, number = 0, 0
    while first < frames:
        page = Page(PHRASE_S, sample_rate_hz, random)
        STYLES[number % len(STYLES)](page)
        # The first phrase of each round is as loud as it gets, the others are what chance says.
        level_db = SOFTEST_DB * random.uniform() if number % len(STYLES) else 0.0
        loudest = np.abs(page.samples).max()
        phrase = page.samples * (peak * 10 ** (level_db / 20) / loudest)
        signal[first : first + len(phrase)] = phrase[: frames - first]
        number += 1
        first += len(phrase) + (number % REST_EVERY == 0) * round(REST_S * sample_rate_hz)
    return signal
