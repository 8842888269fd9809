"""`ampd-train render`."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from trainer.playback import Played, play_file

NAME = "render"
HELP = "a recording through a model, into a file"
CHUNK_FRAMES = 65536
ABOUT = """\
Plays IN through a model and writes OUT: as long as IN, lying on it (the look-ahead of an offline
model is taken off), at its rate. A file of another rate than the model's is resampled there and
back; each channel of a stereo file goes through a model of its own.

OUT is .wav (32-bit float, nothing clips) or .flac (24 bit). The same command writes the same bytes
on one machine, whether it reads the file whole or in chunks.

examples
  ampd-train render models/plexi/plexi.json di.wav plexi.wav
  ampd-train render runs/plexi/best_model.pt di.wav plexi.flac --streaming"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the two files and how they are read."""
    parser.add_argument("model", type=Path, metavar="MODEL", help=".json, .nam or best_model.pt")
    parser.add_argument("input", type=Path, metavar="IN", help="the dry recording")
    parser.add_argument("output", type=Path, metavar="OUT", help=".wav or .flac")
    parser.add_argument(
        "--streaming",
        action="store_true",
        help=f"read, play and write {CHUNK_FRAMES} frames at a time, for files of hours; "
        "without it IN is read whole",
    )
    parser.add_argument(
        "--chunk", type=_frames, metavar="N", help="the same with N frames at a time"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps; default: cpu")


def _frames(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number of 1 or more")
    return value


def run(options: argparse.Namespace) -> int:
    """0 where OUT was written."""
    chunk = options.chunk or (CHUNK_FRAMES if options.streaming else None)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("rendering", total=1.0)
        played = play_file(
            options.model,
            options.input,
            options.output,
            chunk,
            options.device,
            lambda share: bar.update(task, completed=share),
        )
    for line in _lines(options.output, played):
        print(line)
    return 0


def _lines(path: Path, played: Played) -> list[str]:
    seconds = played.frames / played.sample_rate_hz
    return [
        *(f"note: {note}" for note in played.notes),
        f"wrote {path}: {seconds:.2f} s at {played.sample_rate_hz} Hz, peak {played.peak:.3f}",
    ]
