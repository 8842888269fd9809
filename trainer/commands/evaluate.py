"""`ampd-train evaluate`."""

import argparse
from functools import partial
from pathlib import Path

from rich.console import Console

from trainer.commands.inspect import treat_pair
from trainer.evaluate import as_json, as_row, evaluate

NAME = "evaluate"
HELP = "how far a model is from a recording"
ABOUT = """\
Prints one row of figures, computed in float64. ESR is the energy of the error over the energy of
the recording: 0.01 is -20 dB. The doctor repairs the pair first, as `train` does, so that a model
is held against what it was trained on; --no-doctor takes the files as they are."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the pair and which frames of it."""
    parser.add_argument("model", type=Path, metavar="MODEL", help=".json or .nam")
    parser.add_argument("input", type=Path, metavar="IN", help="the dry recording")
    parser.add_argument("target", type=Path, metavar="OUT", help="the gear's recording")
    parser.add_argument(
        "--start", type=int, default=0, help="first frame; what precedes is history"
    )
    parser.add_argument("--end", type=int, help="frame after the last; default: the file's end")
    parser.add_argument("--delay", type=int, default=0, help="frames that OUT lags behind IN")
    parser.add_argument(
        "--no-doctor", action="store_true", help="take the recordings as they are, or refuse them"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """0 where the figures were printed."""
    paths = options.input, options.target
    treated = (
        None
        if options.no_doctor
        else partial(treat_pair, paths, Console(stderr=True), options.delay)
    )
    span = options.start, options.end
    figures = evaluate(options.model, *paths, *span, options.delay, treated)
    print(as_json(figures) if options.json else as_row(figures))
    return 0
