"""The command line: finds the verb, reads its options, runs it. Exit codes: ampd.errors.

The verbs stand in modules of their own, and only that of the verb that is asked for is loaded: what
is asked of a running daemon is answered at once. Each verb imports what is heavy when it runs, so
that help comes at once too and needs neither the compiled engine nor libjack.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from ampd import __version__
from ampd.errors import AmpdError
from ampd.help import EXAMPLES

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:
    from typing import Any

    from ampd.headstart import Headstart

MAX_PORT = 65535
MAX_BLOCK_FRAMES = 8192
MIN_RATE_HZ, MAX_RATE_HZ = 8000, 768000

# The modules, and the verbs that each adds, in the order of help.
ADDERS: Mapping[str, tuple[str, ...]] = {
    "run_verbs": ("run", "ports"),
    "remote_verbs": ("status", "rigs", "load"),
    "set_verb": ("set",),
    "live_verbs": ("snapshot", "sets", "tune", "panic"),
    "learn_verb": ("learn",),
    "page_verb": ("page", "pair", "layouts"),
    "watch_verb": ("watch",),
    "library_verbs": ("models", "irs"),
    "doctor_verb": ("doctor",),
    "rig_verbs": ("rig",),
    "explain_verb": ("explain",),
    "service_verb": ("install-service", "uninstall-service"),
    "file_verbs": ("render", "check", "bench"),
}


def main(arguments: Sequence[str] | None = None, headstart: Headstart | None = None) -> int:
    """Run one verb and return the exit code. headstart: of `run`, what plays already."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = build_parser(words[0] if words else "").parse_args(words)
    options.headstart = headstart
    try:
        code: int = options.verb(options)
        sys.stdout.flush()
        return code
    except AmpdError as error:
        print(f"ampd: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe has left; Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser(asked: str = "") -> argparse.ArgumentParser:
    """The command line for a verb that is asked for; for any other word all of it."""
    parser = argparse.ArgumentParser(
        prog="ampd",
        description="A guitar amp rack without a screen: models and rigs, live through JACK.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ampd {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    if asked != "--version":
        theirs = [module for module, names in ADDERS.items() if asked in names]
        for module in theirs or ADDERS:
            import_module(f"ampd.{module}").add_verbs(verbs, _verb, KINDS)
    return parser


def _verb(verbs: Any, name: str, function: Any, text: str, epilog: str = "") -> Any:
    parser = verbs.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(verb=function)
    parser.add_argument(
        "--config", metavar="FILE", help="settings, in place of the ampd.toml found"
    )
    return parser


def _port(text: str) -> int:
    return _bounded(text, 1, MAX_PORT)


def _block(text: str) -> int:
    return _bounded(text, 1, MAX_BLOCK_FRAMES)


def _rate(text: str) -> int:
    return _bounded(text, MIN_RATE_HZ, MAX_RATE_HZ)


def _bounded(text: str, low: int, high: int) -> int:
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")


KINDS: Mapping[str, Callable[[str], int]] = {"port": _port, "block": _block, "rate": _rate}


if __name__ == "__main__":
    sys.exit(main())
