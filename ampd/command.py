"""What can be asked, as frozen types, each with its own parser.

A way in translates its message to a path ("amp/gain_db", "rig/next") and plain arguments and
calls parse(); nothing here knows a socket or the engine.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ampd.errors import CommandError
from ampd.rig import is_name

Value: TypeAlias = float | bool | str
Argument: TypeAlias = object  # int, float, bool or str; anything else is refused

# Not in rigs: they outlive a switch.
SWITCHES = ("bypass", "mute", "tuner", "tuner_mutes")
NUMBERS = ("master_db", "tempo_bpm", "tuner_reference_hz")
PARAM_PATH = re.compile(r"mix|snapshot|morph|[a-z][a-z0-9]{0,17}/[a-z][a-z0-9_]{0,31}")
FILE_ENDS = ("/model", "/impulse")
DEFAULT_LEASE_S = 30
MAX_LEASE_S = 3600
MAX_PATTERN = 255
MODES = ("hold", "now")
PATTERN = re.compile(
    r"[A-Za-z0-9/._*?,!-]*(?:(?:\[[^][{}/]+\]|\{[^][{}/]*\})[A-Za-z0-9/._*?,!-]*)*"
)
MAX_PORT = 65535
MAX_OFFSET = 1_000_000
MAX_INT64 = 2**63 - 1


@dataclass(frozen=True)
class SelectRig:
    """Switch to the rig `name`."""

    name: str


@dataclass(frozen=True)
class StepRig:
    """Switch to the rig `step` places on in program order; it goes round."""

    step: int  # +1 or -1


@dataclass(frozen=True)
class SetParam:
    """Move one knob of the rig that plays. The engine clamps the value to the knob's range."""

    path: str
    value: float


@dataclass(frozen=True)
class SetGlobal:
    """Set what belongs to the whole rack: a switch of SWITCHES, or a number of NUMBERS, which the
    engine clamps."""

    path: str
    value: bool | float


@dataclass(frozen=True)
class StepSnapshot:
    """Choose the snapshot `step` places on; it goes round."""

    step: int  # +1 or -1


@dataclass(frozen=True)
class SelectSet:
    """Put the rigs of the set `name` under the foot; "" is all rigs of the folder. What plays
    plays on."""

    name: str


@dataclass(frozen=True)
class StepSet:
    """The set `step` places on in bank order; it goes round."""

    step: int  # +1 or -1


@dataclass(frozen=True)
class ChooseFile:
    """Let a block of the rig that plays read another file of the library, until the rig is
    selected again."""

    path: str  # "amp/model", "cab/impulse"
    name: str  # "" for a cab: the built-in speaker


@dataclass(frozen=True)
class Tap:
    """One tap of the tempo."""


@dataclass(frozen=True)
class Panic:
    """Whatever hangs or howls: the dry guitar, at once."""


@dataclass(frozen=True)
class Learn:
    """Which controller moves next? It does nothing else meanwhile."""


@dataclass(frozen=True)
class Query:
    """What is the value at `path`?"""

    path: str


@dataclass(frozen=True)
class Find:
    """What lies in the library that matches all the words?"""

    path: str
    kind: str  # "model" | "cab"
    words: str = ""
    offset: int = 0  # of the first to be told


@dataclass(frozen=True)
class Subscribe:
    """Send a full dump, then every change that `pattern` matches, for lease_s seconds."""

    port: int | None = None  # None: the port the message came from
    pattern: str = ""  # the start of addresses, or with * ? [..] {a,b} all of it; "" = everything
    lease_s: int = DEFAULT_LEASE_S
    mode: str = "hold"  # one of MODES: what it changed itself it hears when it rests, or at once


@dataclass(frozen=True)
class Unsubscribe:
    """Send no more changes."""

    port: int | None = None


@dataclass(frozen=True)
class Ping:
    """Is anybody there? Renews the lease of the one who asks."""

    port: int | None = None


@dataclass(frozen=True)
class Hello:
    """Which number shows that I am at my place? Or that number, which shows it."""

    number: int = 0


@dataclass(frozen=True)
class Pair:
    """What is the pairing token? Or let it be another one."""

    renew: bool = False


EngineCommand: TypeAlias = (
    SelectRig
    | StepRig
    | SetParam
    | SetGlobal
    | StepSnapshot
    | SelectSet
    | StepSet
    | ChooseFile
    | Tap
    | Panic
)
Command: TypeAlias = (
    EngineCommand | Learn | Query | Find | Subscribe | Unsubscribe | Ping | Hello | Pair
)


def parse(path: str, arguments: Sequence[Argument]) -> Command:
    """The command that `path` with `arguments` asks for. Raises CommandError."""
    parser = _PARSERS.get(path)
    if parser is not None:
        return parser(path, arguments)
    if not PARAM_PATH.fullmatch(path):
        raise CommandError(f"{path[:80]!r} is not an address of ampd.")
    if path.endswith("/bypass"):
        return _param_switch(path, arguments)
    if path.endswith(FILE_ENDS):
        return _choose_file(path, arguments)
    if not arguments:
        return Query(path)
    _count(path, arguments, 1)
    return SetParam(path, _number(path, arguments[0]))


def _select(path: str, arguments: Sequence[Argument]) -> Command:
    if not arguments:
        return Query(path)
    _count(path, arguments, 1)
    name = arguments[0]
    if not isinstance(name, str) or not is_name(name):
        raise CommandError(f"{path}: found {_show(name)}, expected the name of a rig.")
    return SelectRig(name)


def _select_set(path: str, arguments: Sequence[Argument]) -> Command:
    if not arguments:
        return Query(path)
    _count(path, arguments, 1)
    name = arguments[0]
    if not isinstance(name, str) or (name != "" and not is_name(name)):
        raise CommandError(
            f'{path}: found {_show(name)}, expected the name of a set, or "" for all rigs.'
        )
    return SelectSet(name)


def _button(otherwise: Command, pressed: Command) -> Callable[[str, Sequence[Argument]], Command]:
    """A button of a touch surface sends 1 when it is pressed and 0 when it is let go."""

    def parser(path: str, arguments: Sequence[Argument]) -> Command:
        _count(path, arguments, 1)
        return otherwise if arguments and not _switch(path, arguments[0]) else pressed

    return parser


def _global_switch(path: str, arguments: Sequence[Argument]) -> Command:
    if not arguments:
        return Query(path)
    _count(path, arguments, 1)
    return SetGlobal(path, _switch(path, arguments[0]))


def _global_number(path: str, arguments: Sequence[Argument]) -> Command:
    if not arguments:
        return Query(path)
    _count(path, arguments, 1)
    return SetGlobal(path, _number(path, arguments[0]))


def _param_switch(path: str, arguments: Sequence[Argument]) -> Command:
    """A block's bypass is on or off, in every spelling of it."""
    if not arguments:
        return Query(path)
    _count(path, arguments, 1)
    return SetParam(path, float(_switch(path, arguments[0])))


def _choose_file(path: str, arguments: Sequence[Argument]) -> Command:
    if not arguments:
        return Query(path)
    _count(path, arguments, 1)
    name = arguments[0]
    if not isinstance(name, str) or (name != "" and not is_name(name)):
        raise CommandError(f"{path}: found {_show(name)}, expected a name of the library.")
    return ChooseFile(path, name)


def _learn(path: str, arguments: Sequence[Argument]) -> Command:
    _count(path, arguments, 0)
    return Learn()


def _query(path: str, arguments: Sequence[Argument]) -> Command:
    _count(path, arguments, 0)
    return Query(path)


def _find(kind: str) -> Callable[[str, Sequence[Argument]], Command]:
    def parser(path: str, arguments: Sequence[Argument]) -> Command:
        _count(path, arguments, 2)
        words = arguments[0] if arguments else ""
        if not isinstance(words, str) or len(words) > MAX_PATTERN:
            raise CommandError(f"{path}: found {_show(words)}, expected words to look for.")
        offset = arguments[1] if len(arguments) > 1 else 0
        return Find(path, kind, words, _whole(path, offset, 0, MAX_OFFSET, "as the first to tell"))

    return parser


def _subscribe(path: str, arguments: Sequence[Argument]) -> Command:
    rest = list(arguments)
    port = _port(path, rest.pop(0)) if rest and not isinstance(rest[0], str) else None
    pattern, lease_s = "", DEFAULT_LEASE_S
    if rest and isinstance(rest[0], str):
        pattern = _pattern(path, rest.pop(0))
    if rest:
        lease_s = _whole(path, rest.pop(0), 1, MAX_LEASE_S, "seconds")
    mode = rest.pop(0) if rest else MODES[0]
    if mode not in MODES:
        raise CommandError(f"{path}: found {_show(mode)}, expected {' or '.join(MODES)}.")
    _count(path, rest, 0)
    return Subscribe(port, pattern, lease_s, str(mode))


def _unsubscribe(path: str, arguments: Sequence[Argument]) -> Command:
    _count(path, arguments, 1)
    return Unsubscribe(_port(path, arguments[0]) if arguments else None)


def _ping(path: str, arguments: Sequence[Argument]) -> Command:
    _count(path, arguments, 1)
    return Ping(_port(path, arguments[0]) if arguments else None)


def _hello(path: str, arguments: Sequence[Argument]) -> Command:
    _count(path, arguments, 1)
    return Hello(_whole(path, arguments[0], 0, MAX_INT64, "as number")) if arguments else Hello()


def _pair(path: str, arguments: Sequence[Argument]) -> Command:
    _count(path, arguments, 1)
    if arguments and arguments[0] != "new":
        raise CommandError(f"{path}: found {_show(arguments[0])}, expected new, or nothing.")
    return Pair(bool(arguments))


_PARSERS: dict[str, Callable[[str, Sequence[Argument]], Command]] = {
    "rig": _select,
    "rig/next": _button(Query("rig"), StepRig(1)),
    "rig/prev": _button(Query("rig"), StepRig(-1)),
    "snapshot/next": _button(Query("snapshot"), StepSnapshot(1)),
    "snapshot/prev": _button(Query("snapshot"), StepSnapshot(-1)),
    "set": _select_set,
    "set/next": _button(Query("set"), StepSet(1)),
    "set/prev": _button(Query("set"), StepSet(-1)),
    "tap": _button(Query("tempo_bpm"), Tap()),
    "panic": _button(Query("bypass"), Panic()),
    "learn": _learn,
    **dict.fromkeys(SWITCHES, _global_switch),
    **dict.fromkeys(NUMBERS, _global_number),
    "models": _find("model"),
    "irs": _find("cab"),
    "rigs": _query,
    "sets": _query,
    "snapshots": _query,
    "status": _query,
    "jack": _query,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "ping": _ping,
    "hello": _hello,
    "pair": _pair,
}


def _count(path: str, arguments: Sequence[Argument], most: int) -> None:
    if len(arguments) > most:
        raise CommandError(f"{path}: found {len(arguments)} arguments, expected at most {most}.")


def _number(path: str, value: Argument) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise CommandError(f"{path}: found {_show(value)}, expected a finite number.")


def _switch(path: str, value: Argument) -> bool:
    if isinstance(value, bool | int | float) and not math.isnan(value):
        return bool(value)
    raise CommandError(f"{path}: found {_show(value)}, expected true, false, 0 or 1.")


def _whole(path: str, value: Argument, low: int, high: int, unit: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise CommandError(f"{path}: found {_show(value)}, expected {low} to {high} {unit}.")


def _port(path: str, value: Argument) -> int:
    return _whole(path, value, 1, MAX_PORT, "as UDP port")


def _pattern(path: str, value: Argument) -> str:
    pattern = str(value)
    if len(pattern) > MAX_PATTERN or not PATTERN.fullmatch(pattern):
        raise CommandError(
            f"{path}: found {_show(value)}, expected the start of an address or a pattern such as "
            f"/ampd/amp/*."
        )
    return pattern


def _show(value: Argument) -> str:
    return repr(value)[:60]
