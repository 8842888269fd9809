"""ampd explain: what a code of the log means, and what to do."""

import argparse
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from ampd.codes import CODES, PREFIX, find
from ampd.errors import CommandError
from ampd.help import EXPLAIN

WIDTH = 80


def add_verbs(verbs: Any, verb: Callable[..., Any], _: Mapping[str, Callable[[str], int]]) -> None:
    """Add the verb to the command line; `verb` adds one."""
    parser = verb(
        verbs, "explain", explain, "say what a code of the log means, and what to do", EXPLAIN
    )
    parser.add_argument("code", nargs="?", metavar="CODE", help="AMPD-JACK-LOST, jack-lost; or all")


def explain(options: argparse.Namespace) -> int:
    """ampd explain [CODE]"""
    if options.code is None:
        for name, each in CODES.items():
            print(f"{PREFIX + name:<20} {each.meaning.partition('. ')[0].rstrip('.')}.")
        return 0
    name = find(options.code)
    if not name:
        raise CommandError(f"{options.code[:40]!r} is no code; `ampd explain` lists all of them.")
    print(PREFIX + name)
    for title, text in (("means", CODES[name].meaning), ("do", CODES[name].remedy)):
        print(textwrap.fill(text, WIDTH, initial_indent=f"{title:<7}", subsequent_indent=" " * 7))
    return 0
