"""`ampd-train`: finds the verb, and turns an error into a sentence and an exit code."""

import argparse
import sys
from collections.abc import Sequence
from typing import Protocol

from trainer.commands import (
    batch,
    capture,
    compare,
    evaluate,
    export,
    export_all,
    family,
    inspect,
    render,
    report,
    signal,
    sweep,
    train,
)
from trainer.errors import RecipeError, TrainerError
from trainer.fields import nearest
from trainer.recipe import all_keys


class Command(Protocol):
    """What a module of trainer/commands has."""

    NAME: str
    HELP: str
    ABOUT: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, options: argparse.Namespace) -> int: ...


COMMANDS: tuple[Command, ...] = (
    signal,
    capture,
    inspect,
    train,
    batch,
    sweep,
    report,
    evaluate,
    render,
    compare,
    export,
    export_all,
    family,
)

ABOUT = """\
Teach a net to sound like your gear, from two recordings: the dry guitar, and the same take as it
came out of the gear. What comes out is a model file that the amp rack and the plugin play."""

EXAMPLES = """\
examples
  ampd-train train realtime --model.name plexi --data.input di.wav --data.target plexi.wav
  ampd-train train my.yaml --minutes 20 --training.seed 1
  ampd-train inspect di.wav plexi.wav --recipe realtime
  ampd-train batch takes --recipe realtime
  ampd-train evaluate models/plexi/plexi.json di.wav plexi.wav --start 480000

exit codes
  0 done (also when Ctrl-C ended a run that had found weights to keep)   1 anything else
  2 the command line or the recipe   3 a recording   4 a model file or checkpoint
  5 a run without a result, or a batch with one   6 JACK   130 stopped before there was a result"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except TrainerError as error:
        print(f"ampd-train: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ampd-train: stopped", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    options, unknown = _parser().parse_known_args(arguments)
    for word in unknown:
        key = word.removeprefix("--").partition("=")[0]
        raise RecipeError(
            f"{word}: no such option of ampd-train {options.command}"
            + (nearest(key, all_keys()) if "." in key else "; see --help")
        )
    return next(c for c in COMMANDS if options.command == c.NAME).run(options)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "ampd-train", description=ABOUT, epilog=EXAMPLES, formatter_class=raw, allow_abbrev=False
    )
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_arguments(
            verbs.add_parser(
                command.NAME,
                help=command.HELP,
                description=command.ABOUT,
                formatter_class=raw,
                allow_abbrev=False,
            )
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
