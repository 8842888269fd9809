"""ampd watch: the running daemon on a terminal, live, with keys for what a foot does."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ampd.errors import CommandError
from ampd.help import WATCH


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verb to the command line; `verb` adds one; ampd.cli.KINDS."""
    parser = verb(verbs, "watch", watch_daemon, "see the running daemon live, and play it", WATCH)
    parser.add_argument("--port", type=kinds["port"], metavar="N", help="the daemon's OSC port")


def watch_daemon(options: argparse.Namespace) -> int:
    """ampd watch"""
    from ampd.client import Client, listens_at  # noqa: PLC0415
    from ampd.screen import Screen  # noqa: PLC0415
    from ampd.watch import Watch  # noqa: PLC0415

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError("ampd watch needs a terminal; 'ampd status --json' is for programs.")
    host, port = listens_at(options.config, options.port)
    with Client(host, port) as client:
        json.loads(str(client.ask("status")[0]))  # nobody there: say so at once, and on no screen
        with Screen() as screen:
            Watch(client, f"{host}:{port}").run(screen)
    return 0
