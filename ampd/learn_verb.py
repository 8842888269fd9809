"""ampd learn: the next controller that moves is bound to a knob, in the player's midi.yaml.

The running daemon hears the controller and says which one it was; the file is written here, and
the daemon, which watches it, reads it again.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from ampd.config import Config, load_config
from ampd.errors import CommandError, UnreachableError
from ampd.help import LEARN
from ampd.midi import (
    BANK_CONTROLS,
    CHANNEL_COUNT,
    CURVES,
    DATA_COUNT,
    MODES,
    Binding,
    describe_control,
    describe_manner,
    kind_of,
    parse_binding,
)
from ampd.midi_file import add_binding, forget, read_map
from ampd.profiles import compile as compile_map
from ampd.profiles import reserved

# (path, most seconds to wait) -> the answer at the same address; ampd.client.ask
Daemon: TypeAlias = Callable[[str, float], list[Any]]
Tell: TypeAlias = Callable[[str], None]

DEFAULT_TIMEOUT_S = 30.0
MAX_TIMEOUT_S = 600.0
ANSWER_LIMIT_S = 5.0
LOWER_HALVES = range(BANK_CONTROLS[1] + 1, 2 * BANK_CONTROLS[1])


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verb to the command line; `verb` adds one; ampd.cli.KINDS."""
    text = "bind the MIDI controller that moves next to a knob"
    parser = verb(verbs, "learn", learn_controller, text, LEARN)
    parser.add_argument("--port", type=kinds["port"], metavar="N", help="the daemon's OSC port")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("path", metavar="PATH", nargs="?", help="a knob, switch or action")
    what.add_argument("--list", action="store_true", help="show every binding in force, and stop")
    what.add_argument("--forget", metavar="PATH|CC", help="take a binding out of midi.yaml")
    parser.add_argument("--low", type=float, metavar="X", help="the value at 0 of the controller")
    parser.add_argument("--high", type=float, metavar="Y", help="the value at 127")
    parser.add_argument("--mode", choices=MODES, help="default absolute; of an action its own")
    parser.add_argument("--curve", choices=CURVES, help="default linear")
    parser.add_argument("--omni", action="store_true", help="bind it on every channel")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help=f"give up after this long, default {DEFAULT_TIMEOUT_S:g} s",
    )


def learn_controller(options: argparse.Namespace) -> int:
    """ampd learn"""
    config = load_config(options.config)
    if options.list:
        for line in list_bindings(config):
            print(line)
        return 0
    if options.forget is not None:
        for binding in forget(config.midi.map, options.forget.removeprefix("/ampd/")):
            print(
                f"{config.midi.map} no longer binds {describe_control(binding)} to {binding.path}"
            )
        return 0
    from ampd.client import ask  # noqa: PLC0415

    host, port = config.osc.host, options.port or config.osc.port
    keys = ("path", "low", "high", "mode", "curve")
    wish = {key: value for key in keys if (value := getattr(options, key)) is not None}
    print(
        learn(
            lambda path, limit_s: list(ask(host, port, path, (), limit_s)),
            config,
            wish | ({"channel": None} if options.omni else {}),
            options.timeout,
            lambda text: print(f"ampd: {text}", file=sys.stderr, flush=True),
        )
    )
    return 0


def learn(
    daemon: Daemon, config: Config, wish: Mapping[str, Any], timeout_s: float, tell: Tell
) -> str:
    """Bind the next controller that moves, and return the sentence that says so.

    wish: the binding without its control; with a channel of None it listens on every channel.
    tell: gets what is worth saying meanwhile.  Raises CommandError (nothing moved, the knob is not
    there), UnreachableError, ConfigError.
    """
    entry = {key: value for key, value in wish.items() if key != "channel"}
    path = _checked(entry).path
    if kind_of(path) in ("param", "global"):
        daemon(path, ANSWER_LIMIT_S)  # refuses a knob that the rig that plays does not have
    state = _state(daemon)
    read_map(config.midi.map)  # a broken file is found before anybody moves a pedal
    tell(f"move the controller for {path} ...")
    binding = _listen(daemon, config.midi.profile, {**entry, "path": path}, timeout_s, tell)
    if "channel" in wish:
        binding = _checked({**entry, "path": path, "control": binding.control})
    before = _in_force(config)
    add_binding(config.midi.map, binding)
    after = _in_force(config)
    for old in before:
        if not any(new.path == old.path and new.meets(old) for new in after):
            tell(f"{describe_control(old)} is no longer {old.path}")
    does = "does" if kind_of(path) == "action" else "turns"
    manner = _with_range(binding, state.get("params", {}).get(path))
    return (
        f"{describe_control(binding)} now {does} {path}{', ' if manner else ''}{manner}; "
        f"it stands in {config.midi.map}, which the daemon takes over by itself"
    )


def list_bindings(config: Config) -> list[str]:
    """A line for each binding outside rigs: controller, path, manner, where it comes from.

    Raises ConfigError. Blocks on the disk.
    """
    midi = config.midi
    own = compile_map("none", midi.channel, read_map(midi.map))
    rows = [
        (
            describe_control(b),
            b.path,
            describe_manner(b),
            str(midi.map) if b in own else midi.profile,
        )
        for b in _in_force(config)
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]


def _listen(
    daemon: Daemon, profile: str, entry: Mapping[str, Any], timeout_s: float, tell: Tell
) -> Binding:
    """The binding of the first controller that may be bound."""
    deadline_s = time.monotonic() + timeout_s
    refused: set[int] = set()
    while True:
        left_s = deadline_s - time.monotonic()
        try:
            answer = daemon("learn", left_s) if left_s > 0 else None
        except UnreachableError:
            # No answer in all that time is a pedal that nobody moved, earlier a daemon that left.
            if time.monotonic() < deadline_s:
                raise
            answer = None
        if answer is None:
            raise CommandError(f"no controller moved within {timeout_s:g} s; nothing is changed.")
        channel, control = _heard(answer)
        why = _reason(control, profile)
        if not why:
            try:
                return parse_binding({**entry, "control": control, "channel": channel})
            except ValueError as error:
                why = str(error)
        if control not in refused:
            tell(f"controller {control} cannot be learned: {why}; move another ...")
        refused.add(control)


def _heard(answer: list[Any]) -> tuple[int, int]:
    whole = all(isinstance(item, int) and not isinstance(item, bool) for item in answer)
    if whole and len(answer) == 3:
        channel, control, _ = answer
        if 1 <= channel <= CHANNEL_COUNT and 0 <= control < DATA_COUNT:
            return channel, control
    raise CommandError(f"learn: the daemon answered {answer}, expected channel, control, value.")


def _reason(control: int, profile: str) -> str:
    """Why the controller cannot be learned; "" where it can."""
    if control in BANK_CONTROLS:
        return "it is bank select"
    if control in LOWER_HALVES:
        return (
            f"it may be the lower half of controller {control - BANK_CONTROLS[1]}; "
            f"if it is a switch of yours, write it into the file by hand"
        )
    path = reserved(profile).get(control)
    return f"profile {profile} keeps it for {path}" if path else ""


def _checked(entry: Mapping[str, Any]) -> Binding:
    """What was asked for, as a binding of controller 1 unless it names one."""
    try:
        return parse_binding({"control": 1, **entry})
    except ValueError as error:
        raise CommandError(f"learn: {error}.") from error


def _with_range(binding: Binding, knob: Mapping[str, Any] | None) -> str:
    """The manner of the binding, with the knob's own ends where it names none."""
    if knob is None:
        return describe_manner(binding)
    low = knob["minimum"] if binding.low is None else binding.low
    high = knob["maximum"] if binding.high is None else binding.high
    return describe_manner(replace(binding, low=low, high=high), knob["unit"])


def _state(daemon: Daemon) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(daemon("status", ANSWER_LIMIT_S)[0])
    return state


def _in_force(config: Config) -> tuple[Binding, ...]:
    midi = config.midi
    return compile_map(midi.profile, midi.channel, read_map(midi.map))


def _seconds(text: str) -> float:
    try:
        if 0 < float(text) <= MAX_TIMEOUT_S:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not over 0 and at most {MAX_TIMEOUT_S:g} s")
