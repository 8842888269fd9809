"""Pictures of two signals and of a run, drawn without a display.

Each function draws on axes it is given, so that a report can have one picture a question and
`compare` one for all.  Colours: the gear is blue, the model orange, their difference red.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from trainer.aliasing import Aliasing

Signal = NDArray[np.float64]
Names = tuple[str, str]  # of target and prediction, in legends

GEAR, MODEL, ERROR, QUIET = "#2f5d8a", "#e58a1f", "#c8372d", "#8a94a0"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#9aa4af",
    "axes.labelcolor": "#49525c",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6eaee",
    "grid.linewidth": 0.8,
    "xtick.color": "#49525c",
    "ytick.color": "#49525c",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.3,
    "figure.dpi": 110,
    "savefig.dpi": 110,
}
ENVELOPE_POINTS = 1200
LOWEST_HZ, FFT_FRAMES = 40.0, 4096
ZOOM_S = 0.025
REPORT_NAMES = ("gear", "model")
COMPARISON_INCHES = (11.0, 8.5)


def picture(width: float, height: float, draw: Callable[[Figure], object]) -> bytes:
    """The PNG of a figure of so many inches that `draw` fills."""
    file = io.BytesIO()
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.savefig(file, format="png", facecolor="white")
    return file.getvalue()


def draw_waveforms(
    axes: Axes, target: Signal, predicted: Signal, rate_hz: int, names: Names = REPORT_NAMES
) -> None:
    """Both on top of each other where the target is loudest, some 25 ms."""
    frames = min(len(target), max(2, int(ZOOM_S * rate_hz)))
    energy = np.cumsum(np.concatenate([[0.0], np.square(target)]))
    first = int(np.argmax(energy[frames:] - energy[:-frames]))
    ms = np.arange(frames) / rate_hz * 1000
    span = slice(first, first + frames)
    axes.plot(ms, target[span], color=GEAR, linewidth=2.2, label=names[0])
    axes.plot(ms, predicted[span], color=MODEL, linewidth=1.2, label=names[1])
    axes.plot(ms, target[span] - predicted[span], color=ERROR, linewidth=0.9, label="difference")
    axes.set(
        title="Waveform", xlabel=f"ms from {first / rate_hz:.2f} s, the loudest place", xmargin=0
    )
    _legend(axes)


def draw_null_test(
    axes: Axes, target: Signal, predicted: Signal, rate_hz: int, names: Names = REPORT_NAMES
) -> None:
    """The whole of the target, and what is left when the model is taken off."""
    for signal, colour, label in (
        (target, "#a9c1d9", names[0]),
        (target - predicted, ERROR, f"{names[0]} - {names[1]}"),
    ):
        seconds, low, high = _envelope(signal, rate_hz)
        axes.fill_between(seconds, low, high, color=colour, linewidth=0, label=label)
    axes.set(
        title=f"Null test: what is left when the {names[1]} is taken off", xlabel="s", xmargin=0
    )
    _legend(axes)


def draw_spectra(
    axes: Axes, target: Signal, predicted: Signal, rate_hz: int, names: Names = REPORT_NAMES
) -> None:
    """Mean spectra in sixths of an octave: the tone of both, and of their difference."""
    signals = ((target, GEAR, names[0], 2.4), (predicted, MODEL, names[1], 1.2))
    top = -np.inf
    for signal, colour, label, width in (
        *signals,
        (target - predicted, ERROR, "difference", 1.2),
    ):
        hz, levels = _mean_spectrum(signal, rate_hz)
        top = max(top, float(levels.max()))
        axes.semilogx(hz, levels, color=colour, label=label, linewidth=width)
    _frequency_axis(axes, rate_hz)
    axes.set(title="Tone", xlabel="Hz", ylabel="dB", ylim=(top - 90, None))
    _legend(axes)


def draw_spectrogram(
    axes: Axes, signal: Signal, rate_hz: int, title: str, top_db: float | None = None
) -> float:
    """Level by time and frequency, 90 dB of it below top_db; returns the top that was drawn."""
    hz, image = _log_spectrogram(signal, rate_hz)
    top = float(image.max()) if top_db is None else top_db
    axes.imshow(
        image,
        aspect="auto",
        origin="lower",
        cmap="magma",
        vmin=top - 90,
        vmax=top,
        extent=(0, len(signal) / rate_hz, 0, len(hz)),
        interpolation="nearest",
    )
    marks = [f for f in (100, 300, 1000, 3000, 10000) if hz[0] <= f <= hz[-1]]
    axes.set_yticks([float(np.interp(f, hz, np.arange(len(hz)))) for f in marks])
    axes.set_yticklabels([_short_hz(f) for f in marks])
    axes.grid(False)
    axes.set(title=title, xlabel="s", ylabel="Hz")
    return top


def draw_passages(
    axes: Axes, values: list[tuple[float, float]], seconds: float, mean_db: float
) -> None:
    """A bar for each passage.

    values: (start in s, ESR in dB)
    """
    starts, levels = np.array(values).T
    floor = min(-40.0, float(levels.min()) - 3)
    axes.bar(
        starts, levels - floor, width=0.9 * seconds, bottom=floor, align="edge", color="#b9cbdd"
    )
    worst = int(np.argmax(levels))
    axes.bar(starts[worst], levels[worst] - floor, 0.9 * seconds, floor, align="edge", color=ERROR)
    axes.axhline(mean_db, color=GEAR, linewidth=1.2, label=f"all of it: {mean_db:.1f} dB")
    axes.set(
        title=f"ESR of each passage of {seconds:g} s (lower is closer, red is the worst)",
        xlabel="s of the recording",
        ylabel="dB",
        ylim=(floor, None),
    )
    _legend(axes)


def draw_training(
    axes: Axes, losses: NDArray[np.float64], valid: NDArray[np.float64], best: NDArray[np.float64]
) -> None:
    """Loss of the steps and ESR on VALID.

    losses, valid, best: (points, 2) of step and value; losses may be empty
    """
    if len(losses):
        steps, middle, low, high = _running(losses)
        axes.fill_between(steps, low, high, color="#dfe5eb", linewidth=0)
        axes.plot(steps, middle, color=QUIET, linewidth=1, label="loss of the crops")
    if len(valid):
        axes.plot(valid[:, 0], valid[:, 1], color=MODEL, marker=".", markersize=5, label="VALID")
    if len(best):
        axes.step(best[:, 0], best[:, 1], where="post", color=GEAR, linewidth=1, label="its best")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(title="Training", xlabel="step", ylabel="ESR", xmargin=0.01)
    _legend(axes)


def draw_aliasing(axes: Axes, found: Aliasing) -> None:
    """The spectrum of the answer to one sine, folded partials in red."""
    bottom = -140.0
    rest = np.where(found.harmonic, -200.0, found.levels_db)
    seen = rest > bottom
    axes.vlines(found.bins_hz[seen] / 1000, bottom, rest[seen], color=ERROR, linewidth=0.8)
    tones = found.harmonic & (found.levels_db > bottom)
    axes.vlines(
        found.bins_hz[tones] / 1000, bottom, found.levels_db[tones], color=GEAR, linewidth=2
    )
    axes.set(
        title=f"{found.frequency_hz / 1000:.2f} kHz: {found.ratio_db:.0f} dB",
        xlabel="kHz",
        ylim=(bottom, 5),
        xlim=(0, float(found.bins_hz[-1]) / 1000),
    )


def draw_comparison(figure: Figure, target: Signal, predicted: Signal, rate_hz: int) -> None:
    """Everything that two signals say about each other, in one picture."""
    grid, names = figure.add_gridspec(3, 2), ("target", "prediction")
    draw_waveforms(figure.add_subplot(grid[0, 0]), target, predicted, rate_hz, names)
    draw_spectra(figure.add_subplot(grid[0, 1]), target, predicted, rate_hz, names)
    draw_null_test(figure.add_subplot(grid[1, :]), target, predicted, rate_hz, names)
    left = figure.add_subplot(grid[2, 0])
    top = draw_spectrogram(left, target, rate_hz, "Target")
    difference = figure.add_subplot(grid[2, 1])
    draw_spectrogram(difference, target - predicted, rate_hz, "Difference, same colours", top)


def _legend(axes: Axes) -> None:
    """In one row on the title's line, where it hides nothing."""
    count = len(axes.get_legend_handles_labels()[0])
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=count, borderaxespad=0.2)


def _envelope(signal: Signal, rate_hz: int) -> tuple[Signal, Signal, Signal]:
    step = max(1, len(signal) // ENVELOPE_POINTS)
    starts = np.arange(0, len(signal), step)
    low, high = np.minimum.reduceat(signal, starts), np.maximum.reduceat(signal, starts)
    return starts / rate_hz, low, high


def _running(points: NDArray[np.float64]) -> tuple[Signal, Signal, Signal, Signal]:
    """Of each of at most 400 groups of points: first step, median, 10th and 90th percentile."""
    groups = np.array_split(points, min(400, len(points)))
    steps = np.array([group[0, 0] for group in groups])
    shares = np.array([np.percentile(group[:, 1], (50, 10, 90)) for group in groups]).T
    return steps, shares[0], shares[1], shares[2]


def _spectra(signal: Signal, columns: int) -> Signal:
    """(bins, windows) of power; windows lie apart where there are more than `columns`."""
    padded = np.pad(signal, (0, max(0, FFT_FRAMES - len(signal))))
    hop = max(FFT_FRAMES // 4, (len(padded) - FFT_FRAMES) // columns)
    windows = torch.from_numpy(padded).float().unfold(0, FFT_FRAMES, hop)
    spectra = torch.fft.rfft(windows * torch.hann_window(FFT_FRAMES))
    power: Signal = spectra.abs().square().T.numpy().astype(np.float64)
    return power


def _mean_spectrum(signal: Signal, rate_hz: int) -> tuple[Signal, Signal]:
    power = _spectra(signal, 2000).mean(1)
    centres = LOWEST_HZ * 2 ** np.arange(0, np.log2(rate_hz / 2 / LOWEST_HZ), 1 / 12)
    hz = np.fft.rfftfreq(FFT_FRAMES, 1 / rate_hz)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    edges = (np.searchsorted(hz, centres * 2 ** (shift / 12)) for shift in (-1, 1))
    low, high = edges
    high = np.maximum(high, low + 1)
    levels = (sums[np.minimum(high, len(power))] - sums[low]) / (high - low)
    return centres, 10 * np.log10(np.maximum(levels, 1e-20))


def _log_spectrogram(signal: Signal, rate_hz: int) -> tuple[Signal, Signal]:
    power = _spectra(signal, 900)
    hz = np.geomspace(LOWEST_HZ, min(20000.0, rate_hz / 2), 220)
    place = hz / (rate_hz / FFT_FRAMES)
    below = np.minimum(place.astype(int), len(power) - 2)
    share = (place - below)[:, None]
    rows = power[below] * (1 - share) + power[below + 1] * share
    return hz, 10 * np.log10(np.maximum(rows, 1e-12))


def _frequency_axis(axes: Axes, rate_hz: int) -> None:
    top = min(20000.0, rate_hz / 2)
    axes.set_xlim(LOWEST_HZ, top)
    marks = [f for f in (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000) if f <= top]
    axes.set_xticks(marks, [_short_hz(f) for f in marks])
    axes.xaxis.set_minor_formatter(NullFormatter())


def _short_hz(hz: float) -> str:
    return f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}"
