"""What a recorded take says: where the switches lie, how large its steps are, and its picture."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile as sf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

FADE_MARGIN_S = 0.06  # longer than any fade, counted from the news of the switch


@dataclass(frozen=True)
class Switch:
    """One switch of rigs, in seconds of CLOCK_MONOTONIC."""

    rig: str
    before: str
    way: str  # "OSC /ampd/rig drive"
    asked_second: float
    told_second: float
    ms_to_audible: float

    @property
    def audible_second(self) -> float:
        return self.asked_second + self.ms_to_audible / 1000.0


@dataclass(frozen=True)
class Steps:
    """The largest difference of two neighbouring samples, of full scale."""

    at_switch: float
    steady: float  # the larger of the two rigs' own, away from every switch


class Take:
    """A recording of jack_tools record: the sound, and the clock of each of its cycles."""

    def __init__(self, wav: Path) -> None:
        sound, self.rate_hz = sf.read(wav, dtype="float32", always_2d=True)
        self.sound: NDArray[np.float32] = sound
        clock = np.load(wav.with_suffix(".npz"))
        self._start, self._second = clock["start"], clock["second"]
        frames = np.diff(self._start, append=len(sound))
        jump = np.flatnonzero(np.diff(clock["frame"]) != frames[:-1])
        self.gaps: NDArray[np.int64] = self._start[jump + 1]  # cycles that the recorder missed

    def frame_at(self, second: float) -> int:
        """Frame of the take that was being recorded at this monotonic second."""
        cycle = max(0, int(np.searchsorted(self._second, second)) - 1)
        inside = int((second - self._second[cycle]) * self.rate_hz)
        longest = int(np.diff(self._start).max(initial=64))
        return int(np.clip(self._start[cycle] + np.clip(inside, 0, longest), 0, len(self.sound)))

    def _steps(self) -> NDArray[np.float32]:
        steps = np.abs(np.diff(self.sound, axis=0)).max(axis=1)
        for gap in self.gaps:  # the sound jumped because the machine lost frames, in or out
            steps[max(0, gap - 2) : gap + 1] = 0.0
        return np.asarray(steps, np.float32)

    def steps(self, switches: list[Switch]) -> list[Steps]:
        """For each switch, its largest step beside the largest steady one of its two rigs."""
        steps = self._steps()
        windows = [
            (self.frame_at(s.asked_second), self.frame_at(s.told_second + FADE_MARGIN_S))
            for s in switches
        ]
        edges = [0, *(edge for window in windows for edge in window), len(steps)]
        rigs = [switches[0].before, *(s.rig for s in switches)]
        steady: dict[str, float] = {}
        for rig, start, end in zip(rigs, edges[::2], edges[1::2], strict=True):
            steady[rig] = max(steady.get(rig, 0.0), float(steps[start:end].max(initial=0.0)))
        return [
            Steps(float(steps[start:end].max(initial=0.0)), max(steady[s.before], steady[s.rig]))
            for s, (start, end) in zip(switches, windows, strict=True)
        ]

    def silences(self) -> int:
        """Frames of exact silence in runs of more than one, after the first sound."""
        quiet = np.all(self.sound == 0.0, axis=1)
        first = int(np.argmin(quiet))
        tail = quiet[first : len(quiet) - int(np.argmin(quiet[::-1]))]
        return int(np.count_nonzero(tail[1:] & tail[:-1]))


COLOURS = 96
INK, PAPER, GRID, WAVE, MARK = "#e8e3d8", "#14161a", "#2b2f36", "#e0a458", "#7fd1c7"
TINTS = ("#7fd1c7", "#e0a458", "#e07a7a", "#9db4f0", "#b7d77a")


def draw(take: Take, switches: list[Switch], title: str, png: Path) -> None:
    """Waveform over spectrogram, the rigs named above, a line at each switch."""
    mono = take.sound[:, 0]
    seconds = len(mono) / take.rate_hz
    at = [take.frame_at(s.audible_second) / take.rate_hz for s in switches]
    rigs = [switches[0].before, *(s.rig for s in switches)] if switches else []
    tint = {rig: TINTS[i % len(TINTS)] for i, rig in enumerate(sorted(set(rigs)))}
    figure = Figure(figsize=(12, 5.6), facecolor=PAPER)
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    _waveform(top, mono, take.rate_hz)
    for rig, start, end in zip(rigs, [0.0, *at], [*at, seconds], strict=True):
        top.axvspan(start, end, color=tint[rig], alpha=0.13, lw=0)
        top.text(
            (start + end) / 2, 1.04, rig, color=tint[rig], ha="center", va="bottom",
            fontsize=10, fontweight="bold", transform=top.get_xaxis_transform(),
        )  # fmt: skip
    hiss = 1e-9 * np.random.default_rng(0).standard_normal(len(mono))  # exact silence has no dB
    low.specgram(
        mono + hiss, NFFT=2048, Fs=take.rate_hz, noverlap=1536, cmap="magma", vmin=-130, vmax=-45
    )
    low.set_yscale("symlog", linthresh=500)
    low.set_ylim(60, 16_000)
    low.set_yticks([100, 250, 500, 1000, 2000, 5000, 10_000])
    low.set_yticklabels(["100", "250", "500", "1k", "2k", "5k", "10k"])
    low.set_ylabel("Hz")
    low.set_xlabel("seconds")
    for axis in (top, low):
        axis.set_facecolor(PAPER)
        axis.set_xlim(0, seconds)
        axis.tick_params(colors=INK, length=3)
        axis.yaxis.label.set_color(INK)
        axis.xaxis.label.set_color(INK)
        for spine in axis.spines.values():
            spine.set_color(GRID)
        for second in at:
            axis.axvline(second, color=MARK, lw=0.9, ls=(0, (4, 3)), alpha=0.9)
    figure.suptitle(title, color=INK, x=0.065, y=0.975, ha="left", fontsize=12)
    figure.subplots_adjust(left=0.065, right=0.985, top=0.875, bottom=0.09, hspace=0.07)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110, facecolor=PAPER)
    few = (
        Image.open(drawn).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    )  # a quarter of the size, same look
    few.save(png, "PNG", optimize=True)


def _waveform(axis: Axes, mono: NDArray[np.float32], rate_hz: int) -> None:
    """The envelope of each pixel, so that no peak is lost and the file stays small."""
    bins = min(2400, len(mono))
    edges = np.linspace(0, len(mono), bins + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(mono, edges), np.maximum.reduceat(mono, edges)
    axis.fill_between(edges / rate_hz, low, high, color=WAVE, lw=0.2)
    limit = max(0.05, float(np.abs(mono).max()) * 1.08)
    axis.set_ylim(-limit, limit)
    axis.set_ylabel("of full scale")
