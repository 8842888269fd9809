"""ampd set: every knob of the running daemon, listed, read and turned, from its table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping

from ampd.client import ROOT, ask, listens_at
from ampd.errors import CommandError
from ampd.help import SET

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:
    from typing import Any

WORDS = {"on": True, "true": True, "off": False, "false": False}


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verb to the command line; `verb` adds one; ampd.cli.KINDS."""
    set_ = verb(verbs, "set", set_value, "turn a knob of the rig that plays, or list them", SET)
    set_.add_argument(
        "path", nargs="?", metavar="PATH", help="block/param, mix, bypass ...; none: list them all"
    )
    set_.add_argument(
        "value", nargs="?", metavar="VALUE", help="a number, on/off, or 40%% of the way; none: show"
    )
    set_.add_argument("--port", type=kinds["port"], metavar="N", help="the daemon's OSC port")


def set_value(options: argparse.Namespace) -> int:
    """ampd set [PATH [VALUE]]"""
    from ampd.control.params import NORM  # noqa: PLC0415

    host, port = listens_at(options.config, options.port)
    if options.path is None or options.value is None:
        return _show(options, json.loads(str(ask(host, port, "status")[0])))
    path = options.path.removeprefix(ROOT).strip("/")
    if options.value.endswith("%"):
        position = _number(path, options.value.removesuffix("%")) / 100
        ask(host, port, path + NORM, [position])
        answer = ask(host, port, path)[0]
    else:
        answer = ask(host, port, path, [_value(path, options.value)])[0]
    print(f"{path} {_shown(answer)}")
    return 0


def _show(options: argparse.Namespace, state: dict[str, Any]) -> int:
    """One knob, or all of them: value, range and what it is."""
    from ampd.control.params import from_knob, with_units  # noqa: PLC0415
    from ampd.library import nearest  # noqa: PLC0415
    from ampd.state import Knob  # noqa: PLC0415
    from ampd.view import show_table  # noqa: PLC0415

    values = {**state["globals"], **state["values"]}
    params = [from_knob(path, Knob(**knob)) for path, knob in state["params"].items()]
    if options.path is not None:
        path = options.path.removeprefix(ROOT).strip("/")
        if path not in state["params"]:
            raise CommandError(f"{path}: there is no such knob; {nearest(path, [*values])}.")
        params = [param for param in params if param.path == path]
    show_table(
        ("knob", "value", "range", "what"),
        [(p.path, _shown(values.get(p.path, "")), with_units(p), p.text) for p in params],
    )
    return 0


def _value(path: str, text: str) -> float | bool | str:
    from ampd.control.params import BY_PATH  # noqa: PLC0415

    row = BY_PATH.get(path)
    if row is not None and row.types == "s":
        return text
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    return _number(path, text)


def _number(path: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CommandError(
            f"{path}: found {text!r}, expected a number, on, off, or per cent such as 40%."
        ) from None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else f"{value:g}"
