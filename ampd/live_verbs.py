"""ampd snapshot | sets | tune | panic: what a foot does, from a terminal, on the running daemon."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping

from ampd.client import ROOT, Client, ask, listens_at
from ampd.errors import CommandError, UnreachableError
from ampd.help import SETS, SNAPSHOT, TUNE

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:
    from typing import Any

NEEDLE_CENTS = 50
NEEDLE_WIDTH = 41
LEASE_S = 10
SILENCE_S = 3.0


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verbs to the command line; `verb` adds one; ampd.cli.KINDS."""
    snapshot = verb(
        verbs, "snapshot", choose_snapshot, "choose a snapshot of the rig that plays", SNAPSHOT
    )
    snapshot.add_argument(
        "which", nargs="?", metavar="N|NAME|next|prev", help="0 is the rig itself; none: list them"
    )
    sets = verb(verbs, "sets", choose_set, "list the sets of rigs, or choose one", SETS)
    sets.add_argument("which", nargs="?", metavar="NAME|next|prev|all", help="none: list them")
    tune = verb(verbs, "tune", tune_guitar, "mute the rig and show the tuner", TUNE)
    tune.add_argument("--loud", action="store_true", help="let the guitar be heard meanwhile")
    tune.add_argument(
        "--reference", type=float, metavar="HZ", help="what A4 is, 430 to 450, default 440"
    )
    panic = verb(verbs, "panic", stop_howling, "whatever hangs or howls: the dry guitar, at once")
    for parser in (snapshot, sets, tune, panic):
        parser.add_argument("--port", type=kinds["port"], metavar="N", help="the daemon's OSC port")


def choose_snapshot(options: argparse.Namespace) -> int:
    """ampd snapshot [N|NAME|next|prev]"""
    names = [str(name) for name in _ask(options, "snapshots")]
    if not names:
        raise CommandError("The rig that plays has no snapshots; its file says which it has.")
    if options.which in ("next", "prev"):
        number = _press(options, f"snapshot/{options.which}", "snapshot")[0]
    elif options.which is None:
        number = _ask(options, "snapshot")[0]
    else:
        number = _ask(options, "snapshot", _snapshot_number(options.which, names))[0]
    here = round(float(number))
    for place, name in enumerate(["the rig itself", *names]):
        print(f"{'>' if place == here else ' '} {place} {name}")
    return 0


def _snapshot_number(which: str, names: list[str]) -> float:
    if which in names:
        return names.index(which) + 1.0
    if which.isascii() and which.isdigit() and int(which) <= len(names):
        return float(which)
    raise CommandError(
        f"There is no snapshot {which}, expected 0 to {len(names)}, next, prev or one of "
        f"{', '.join(names)}."
    )


def choose_set(options: argparse.Namespace) -> int:
    """ampd sets [NAME|next|prev|all]"""
    if options.which in ("next", "prev"):
        _press(options, f"set/{options.which}", "set")
    elif options.which is not None:
        _ask(options, "set", "" if options.which == "all" else options.which)
    here = _ask(options, "set")[0]
    for name in _ask(options, "sets"):
        print(f"{'>' if name == here else ' '} {name or 'all (every rig of the folder)'}")
    return 0


def stop_howling(options: argparse.Namespace) -> int:
    """ampd panic"""
    _press(options, "panic", "bypass")
    print("dry; 'ampd set bypass off' brings the rig back")
    return 0


def tune_guitar(options: argparse.Namespace) -> int:
    """ampd tune"""
    muted_before = _ask(options, "tuner_mutes")[0]
    if options.reference is not None:
        _ask(options, "tuner_reference_hz", options.reference)
    _ask(options, "tuner_mutes", not options.loud)
    _ask(options, "tuner", True)
    try:
        for note, cents, hz in _pitches(options):
            print(f"\r{needle(note, cents, hz)}", end="", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        print()
        _ask(options, "tuner", False)
        _ask(options, "tuner_mutes", muted_before)
    return 0


def needle(note: str, cents: float, hz: float) -> str:
    """One line: the note, where it stands between its neighbours, and the figures."""
    middle = NEEDLE_WIDTH // 2
    scale = ["-"] * NEEDLE_WIDTH
    scale[middle] = "|"
    if hz <= 0:
        return f"   {''.join(scale)}{'':20}"
    scale[middle + round(cents / NEEDLE_CENTS * middle)] = "#"
    return f"{note:<3}{''.join(scale)} {cents:+6.1f} c {hz:8.2f} Hz"


def _pitches(options: argparse.Namespace) -> Iterator[tuple[str, float, float]]:
    """What the tuner hears, until the daemon is silent for too long."""
    host, port = listens_at(options.config, options.port)
    with Client(host, port) as client:
        renewed_s = 0.0
        while True:
            if time.monotonic() - renewed_s > LEASE_S / 2:
                renewed_s = time.monotonic()
                client.send("subscribe", f"{ROOT}tuner/", LEASE_S)
            message = client.receive(SILENCE_S)
            if message is None:
                raise UnreachableError(f"{host}:{port} is silent; is ampd still up?")
            if message[0] == "tuner/pitch":
                note, cents, hz = message[1]
                yield str(note), float(cents), float(hz)


def _ask(options: argparse.Namespace, path: str, *arguments: float | bool | str) -> list[Any]:
    return list(ask(*listens_at(options.config, options.port), path, arguments))


def _press(options: argparse.Namespace, button: str, moved: str) -> list[Any]:
    """Press a button; the new value of what it moves."""
    return list(ask(*listens_at(options.config, options.port), button, answer_path=moved))
