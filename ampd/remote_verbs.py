"""ampd status | rigs | load: what the running daemon does, and another rig for it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence

from ampd.client import ask, listens_at
from ampd.errors import LibraryError, UnreachableError

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:
    from typing import Any

LOAD_LIMIT_S = 10.0


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verbs to the command line; `verb` adds one; ampd.cli.KINDS."""
    status = verb(verbs, "status", show_status, "show what the running daemon does")
    status.add_argument("--json", action="store_true", help="the whole state as JSON")
    rigs = verb(
        verbs, "rigs", show_rigs, "list the rigs, from the daemon or, without one, the folder"
    )
    load = verb(verbs, "load", load_rig, "switch the running daemon to another rig")
    load.add_argument("name", metavar="NAME", help="a rig, as 'ampd rigs' lists them")
    for parser in (status, rigs, load):
        parser.add_argument("--port", type=kinds["port"], metavar="N", help="the daemon's OSC port")


def show_status(options: argparse.Namespace) -> int:
    """ampd status"""
    text = str(_ask(options, "status")[0])
    if options.json:
        print(text)
        return 0
    from ampd.view import show_state  # noqa: PLC0415

    show_state(json.loads(text))
    return 0


def show_rigs(options: argparse.Namespace) -> int:
    """ampd rigs"""
    from ampd.config import load_config  # noqa: PLC0415
    from ampd.library import Library  # noqa: PLC0415
    from ampd.sets import assign_programs  # noqa: PLC0415
    from ampd.view import RigRow, show_rig_rows  # noqa: PLC0415

    try:
        state = json.loads(str(_ask(options, "status")[0]))
    except UnreachableError:
        paths = load_config(options.config).paths
        library = Library(paths.rigs, paths.models, paths.cabs)
        rigs, errors = library.load_rigs()
        programs, complaints = assign_programs(rigs)
        for text in complaints:
            print(f"ampd: {text}", file=sys.stderr)
        rows = [RigRow(name, programs.get(name), "", "") for name in programs]
        rows += [RigRow(name, None, "", text) for name, text in errors.items()]
        if not rows:
            raise LibraryError(f"{library.rigs_path}: there is no rig (NAME.yaml).") from None
    else:
        rows = [
            RigRow(
                rig["name"],
                rig["program"],
                "plays" if rig["name"] == state["rig"] else "ready" if rig["built"] else "",
                rig["error"],
            )
            for rig in state["rigs"]
        ]
    show_rig_rows(sorted(rows, key=lambda row: (row.program is None, row.program, row.name)))
    return 0


def load_rig(options: argparse.Namespace) -> int:
    """ampd load NAME"""
    print(_ask(options, "rig", [options.name])[0])
    return 0


def _ask(
    options: argparse.Namespace, path: str, arguments: Sequence[float | bool | str] = ()
) -> list[Any]:
    host, port = listens_at(options.config, options.port)
    answer = ask(host, port, path, arguments, LOAD_LIMIT_S)
    if not answer:
        raise UnreachableError(f"{host}:{port} gave an empty answer.")
    return list(answer)
