"""`ampd-train compare`."""

import argparse
import dataclasses
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from numpy.typing import NDArray

from trainer.closeness import Closeness, measure
from trainer.data import read_mono
from trainer.errors import DataError
from trainer.files import replace_file
from trainer.pictures import COMPARISON_INCHES, STYLE, draw_comparison, picture

NAME = "compare"
HELP = "how close one recording is to another"
ABOUT = """\
Figures of PRED against TARGET, frame by frame as they lie: ESR (energy of the difference over
energy of TARGET; 0.01 is -20 dB), the same after y[t] - 0.95 y[t-1], multi-resolution STFT
distance, mean and largest error, correlation, DC (squared mean error over TARGET's power), and how
late PRED is. Nothing is moved or scaled: with a delay of a frame or more look at that first.

  -o FILE.png  waveform, spectra, difference and spectrograms in one picture
  -p           the same in a window, where there is a display

example
  ampd-train render models/plexi/plexi.json di.wav model.wav
  ampd-train compare plexi.wav model.wav -o plexi.png"""

LABELS = {
    "esr": "ESR",
    "pre_emphasised_esr": "ESR, treble lifted",
    "mrstft": "MRSTFT",
    "mae": "MAE",
    "peak_error": "largest error",
    "correlation": "correlation",
    "dc": "DC",
    "delay_frames": "delay",
}
WINDOWED = ("darwin", "win32")  # systems that need no DISPLAY

Signal = NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two files and what to do with the picture."""
    parser.add_argument("target", type=Path, metavar="TARGET", help="what it should be")
    parser.add_argument("predicted", type=Path, metavar="PRED", help="what it is")
    parser.add_argument("-p", "--plot", action="store_true", help="show the picture")
    parser.add_argument("-o", "--output", type=Path, metavar="PNG", help="write the picture")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of text")


def run(options: argparse.Namespace) -> int:
    """0 where the figures were printed."""
    target, predicted, rate = _read_both(options.target, options.predicted)
    if options.output is not None and options.output.suffix.lower() != ".png":
        raise DataError(f"{options.output}: found another ending, expected a picture's: .png")
    found = measure(target, predicted, rate)
    print(as_json(found) if options.json else "\n".join(as_lines(found, rate)))
    if options.output is not None:
        data = picture(*COMPARISON_INCHES, lambda f: draw_comparison(f, target, predicted, rate))
        replace_file(options.output, lambda file: file.write(data))
        print(f"wrote {options.output}", file=sys.stderr)
    if options.plot and not _show(target, predicted, rate):
        print("no display here to show the picture on: -o FILE.png writes it", file=sys.stderr)
    return 0


def as_lines(found: Closeness, rate_hz: int) -> list[str]:
    """A figure a line."""
    lines = []
    for key, label in LABELS.items():
        value = getattr(found, key)
        text = f"{value:.2f} frames" if key == "delay_frames" else f"{value:.6g}"
        if math.isnan(value):
            text = "too short for it"
        lines.append(f"{label:20}{text}" + (f"  ({found.esr_db:.1f} dB)" if key == "esr" else ""))
    lines.append(f"{'length':20}{found.frames / rate_hz:.2f} s")
    if abs(found.delay_frames) >= 0.5:
        early = "late" if found.delay_frames > 0 else "early"
        lines.append(
            f"note: PRED is {abs(found.delay_frames):.1f} frames {early}; the other figures hold "
            "that too"
        )
    return lines


def as_json(found: Closeness) -> str:
    """One line; null where there is no value."""
    values = dataclasses.asdict(found)
    return json.dumps({k: v if math.isfinite(v) else None for k, v in values.items()})


def _read_both(target_path: Path, predicted_path: Path) -> tuple[Signal, Signal, int]:
    target, rate = read_mono(target_path)
    predicted, other_rate = read_mono(predicted_path)
    if rate != other_rate:
        raise DataError(
            f"{predicted_path}: found {other_rate} Hz, expected the {rate} Hz of {target_path}; "
            "resample one of them"
        )
    frames = min(len(target), len(predicted))
    if len(target) != len(predicted):
        print(
            f"note: {len(target)} and {len(predicted)} frames; the first {frames} are compared",
            file=sys.stderr,
        )
    one, two = target[:frames].double().numpy(), predicted[:frames].double().numpy()
    if not one.any():
        raise DataError(
            f"{target_path}: found silence, expected sound: ESR divides by its energy; are TARGET "
            "and PRED the right way round?"
        )
    return one, two, rate


def _show(target: Signal, predicted: Signal, rate_hz: int) -> bool:
    """False where there is no display."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform not in WINDOWED and not any(os.environ.get(key) for key in displays):
        return False
    # Only here: choosing a window system is a side effect of the import.
    from matplotlib import pyplot  # noqa: PLC0415

    if pyplot.get_backend().lower() == "agg":
        return False
    with rc_context(STYLE):
        draw_comparison(
            pyplot.figure(figsize=COMPARISON_INCHES, layout="constrained"),
            target,
            predicted,
            rate_hz,
        )
        pyplot.show()
    return True
