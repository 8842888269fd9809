"""`ampd-train signal`."""

import argparse
from pathlib import Path

from trainer.capture.signal import (
    LEAST_MINUTES,
    MOST_MINUTES,
    CaptureSignal,
    make_signal,
    map_path,
    read_playing,
    write_signal,
)
from trainer.errors import RecipeError

NAME = "signal"
HELP = "the sound to send through the gear"
ABOUT = """\
Writes the test signal as a 24-bit mono WAV, and beside it a .json that says where everything is:
blips, sweep, noise, a ladder of levels, playing, a passage that comes twice, and the playing that
VALID and TEST are measured on. The same options give the same bytes.

  ampd-train signal signal.wav
  ampd-train signal signal.wav --playing my-di.wav --rate 44100

`ampd-train capture` makes and sends it by itself. With a DAW: put it on a track, send that to the
gear at the level of your guitar, record what comes back from the same start, and train with
the command that is printed here. It peaks at -6 dBFS; let the return peak between -12 and -3."""

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 16_000, 384_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and what is in it."""
    parser.add_argument("out", type=Path, metavar="OUT.wav")
    parser.add_argument("--rate", type=int, default=48_000, metavar="HZ", help="default 48000")
    parser.add_argument(
        "--minutes",
        type=float,
        default=3.0,
        help=f"of the whole, {LEAST_MINUTES:g} to {MOST_MINUTES:g}; default 3",
    )
    parser.add_argument(
        "--playing", type=Path, metavar="DI.wav", help="your own dry guitar, all of it, at -6 dBFS"
    )


def run(options: argparse.Namespace) -> int:
    """0 where the two files were written."""
    path: Path = options.out
    _check(options)
    playing = None if options.playing is None else read_playing(options.playing, options.rate)
    signal = make_signal(options.rate, options.minutes, playing)
    write_signal(signal, path)
    seconds = len(signal.samples) / signal.sample_rate_hz
    print(f"wrote {path} ({seconds:.1f} s at {signal.sample_rate_hz} Hz) and {map_path(path)}")
    print(as_table(signal))
    print(f"\nrecorded as WET.wav:\n  {train_command(path, signal)}")
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.out.suffix.lower() != ".wav":
        raise RecipeError(f"{options.out}: expected a name that ends in .wav")
    if not LEAST_MINUTES <= options.minutes <= MOST_MINUTES:
        raise RecipeError(
            f"--minutes: found {options.minutes:g}, expected {LEAST_MINUTES:g} to {MOST_MINUTES:g}"
        )
    if not LOWEST_RATE_HZ <= options.rate <= HIGHEST_RATE_HZ:
        raise RecipeError(
            f"--rate: found {options.rate}, expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz"
        )


def as_table(signal: CaptureSignal) -> str:
    """Each part with its seconds and frames."""
    rate = signal.sample_rate_hz
    rows = [
        f"  {name:8} {first / rate:7.2f} - {end / rate:7.2f} s   frames {first} to {end}"
        for name, (first, end) in signal.parts.items()
    ]
    return "\n".join(rows)


def train_command(path: Path, signal: CaptureSignal) -> str:
    """What trains on a recording of the signal, with its own splits."""
    splits = " ".join(f'--data.{k} "[{a}, {b}]"' for k, (a, b) in signal.splits.items())
    return (
        "ampd-train train realtime --model.name NAME "
        f"--data.input {path} --data.target WET.wav {splits}"
    )
