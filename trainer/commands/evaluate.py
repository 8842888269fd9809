"""`ampd-train evaluate`."""

import argparse
from pathlib import Path

from trainer.evaluate import as_json, as_row, evaluate

NAME = "evaluate"
HELP = "how far a model is from a recording"
ABOUT = """\
Prints one row of figures, computed in float64. ESR is the energy of the error over the energy of
the recording: 0.01 is -20 dB."""


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
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """0 where the figures were printed."""
    figures = evaluate(
        options.model, options.input, options.target, options.start, options.end, options.delay
    )
    print(as_json(figures) if options.json else as_row(figures))
    return 0
