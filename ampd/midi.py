"""Which MIDI controller turns what, and the messages that a rig sends: parsed and written.

A Binding is one entry of a rig's `midi`, of the player's midi.yaml (midi_file.py) or of a profile
(profiles.py); ampd/MIDI.md teaches the form.  Modes, curves and actions are those of
engine/midi.hpp, one to one.  Whether a block has the param that a binding names is the engine's to
say.  Errors are ValueError with the rest of a sentence: "entry 2: control is 300, expected ...".
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

CHANNEL_COUNT = 16
DATA_COUNT = 128
MAX_BINDINGS = 64  # of a rig, and of midi.yaml; with a profile they stay under the engine's 128
MAX_MESSAGES = 12
MAX_LEDS = 10
MAX_RANGE = 1e6
BANK_CONTROLS = (0, 32)  # bank select: the engine's own

MODES = ("absolute", "toggle", "momentary", "trigger", "relative", "14bit")
CURVES = ("linear", "slow", "fast", "smooth")

# Each action and the one mode in which it makes sense: a press does it, or every value does.
ACTIONS: Mapping[str, str] = {
    "rig/next": "trigger",
    "rig/prev": "trigger",
    "rig/step": "absolute",
    "snapshot/select": "absolute",
    "snapshot/next": "trigger",
    "snapshot/prev": "trigger",
    "set/next": "trigger",
    "set/prev": "trigger",
    "tap": "trigger",
    "panic": "absolute",
}
RIG_PROGRAM = re.compile(r"rig/program/(0|[1-9][0-9]{0,2})")
FOOT = re.compile(r"foot/([1-9]|10)")
GLOBALS = ("bypass", "mute", "tuner", "master_db", "tempo_bpm", "snapshot", "morph")
PARAM = re.compile(r"mix|[a-z]{1,16}([1-9][0-9]?)?/[a-z][a-z0-9_]{0,31}")
# What a path of these rooms has behind its slash is an action, or a slip of the pen.
ACTION_ROOMS = ("rig", "snapshot", "set", "foot")

BINDING_KEYS = ("control", "path", "channel", "mode", "curve", "low", "high", "leds")
MESSAGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "program": ("program", "channel"),
    "control": ("control", "value", "channel"),
    "note": ("note", "velocity", "channel"),
}
PROGRAM_CHANGE, CONTROL_CHANGE, NOTE_ON = 0xC0, 0xB0, 0x90


@dataclass(frozen=True)
class Binding:
    """One controller bound to one target.

    low and high are the target's values at 0 and 127 of the controller, in its unit, and low may
    be above high; None is the end of the param's own range.  An action has neither, and its mode
    is the one of ACTIONS.
    """

    control: int  # 0..127 without 0 and 32; a 14-bit one is 1..31 and has control + 32 as well
    path: str  # what OSC uses behind /ampd/, or an action
    channel: int | None = None  # 1..16, None: any
    mode: str = "absolute"
    curve: str = "linear"
    low: float | None = None
    high: float | None = None
    leds: tuple[int, ...] = ()  # sent back in place of the value: off, on; or one a state

    @property
    def controls(self) -> frozenset[int]:
        """The numbers it listens to: two for a 14-bit one."""
        second = (self.control + BANK_CONTROLS[1],) if self.mode == "14bit" else ()
        return frozenset({self.control, *second})

    def meets(self, other: "Binding") -> bool:
        """Whether one message could move both."""
        channels = {self.channel, other.channel}
        return bool(self.controls & other.controls) and (None in channels or len(channels) == 1)


def action_mode(path: str) -> str:
    """The mode of the action that `path` names; "" where it names a param or a global."""
    return "trigger" if RIG_PROGRAM.fullmatch(path) else ACTIONS.get(path, "")


def kind_of(path: str) -> str:
    """What `path` names: "param" of the chain, "foot" (bypass of its N-th block), "global" or
    "action"."""
    if action_mode(path):
        return "action"
    if FOOT.fullmatch(path):
        return "foot"
    return "global" if path in GLOBALS else "param"


def parse_bindings(entry: Any) -> tuple[Binding, ...]:
    """The list under `midi` or `bindings`; None is an empty one. Raises ValueError."""
    entries = _entries(entry, MAX_BINDINGS, "bindings", "{control: 11, path: delay/mix}")
    bindings = tuple(_numbered(number, parse_binding, e) for number, e in enumerate(entries, 1))
    seen: dict[tuple[int | None, int, str], int] = {}
    for number, binding in enumerate(bindings, 1):
        first = seen.setdefault((binding.channel, binding.control, binding.path), number)
        if first != number:
            raise ValueError(
                f"entry {number}: binds {describe_control(binding)} to {binding.path} "
                f"as entry {first} does; remove one"
            )
    return bindings


def parse_binding(entry: Any) -> Binding:
    """One entry, such as {control: 11, path: delay/mix, high: 0.5}. Raises ValueError."""
    fields = _fields(entry, BINDING_KEYS, "{control: 11, path: delay/mix}")
    path = check_path(_needed(fields, "path"))
    fixed = action_mode(path)
    mode = _choice("mode", fields.get("mode", fixed or "absolute"), MODES)
    if fixed and mode != fixed:
        raise ValueError(f"mode is {mode}, expected {fixed} or none: {path} is an action")
    if fixed and (unfit := [key for key in ("curve", "low", "high") if key in fields]):
        raise ValueError(f"has {unfit[0]}, expected none: {path} is an action")
    low, high = (_end(key, fields[key]) if key in fields else None for key in ("low", "high"))
    if low is not None and low == high:
        raise ValueError(f"low and high are both {low:g}, expected two different values")
    return Binding(
        _control(_needed(fields, "control"), mode),
        path,
        _channel(fields["channel"]) if "channel" in fields else None,
        mode,
        _choice("curve", fields.get("curve", "linear"), CURVES),
        low,
        high,
        _leds(fields.get("leds", [])),
    )


def to_document(binding: Binding) -> dict[str, Any]:
    """The mapping of plain values that parse_binding reads back to an equal Binding."""
    document: dict[str, Any] = {"control": binding.control, "path": binding.path}
    if binding.channel is not None:
        document["channel"] = binding.channel
    if binding.mode != (action_mode(binding.path) or "absolute"):
        document["mode"] = binding.mode
    if binding.curve != "linear":
        document["curve"] = binding.curve
    ends = {"low": binding.low, "high": binding.high}
    document |= {key: value for key, value in ends.items() if value is not None}
    if binding.leds:
        document["leds"] = list(binding.leds)
    return document


def parse_messages(entry: Any) -> tuple[bytes, ...]:
    """The list under `on_load`, as the bytes of one message each. Raises ValueError."""
    entries = _entries(entry, MAX_MESSAGES, "messages", "{program: 3, channel: 2}")
    return tuple(_numbered(number, _message, e) for number, e in enumerate(entries, 1))


def message_document(message: bytes) -> dict[str, int]:
    """The mapping that parse_messages reads back to these bytes. Raises ValueError for others."""
    kinds = {PROGRAM_CHANGE: "program", CONTROL_CHANGE: "control", NOTE_ON: "note"}
    kind = kinds.get(message[0] & 0xF0) if message else None
    if kind is None or len(message) != len(MESSAGE_KEYS[kind]):
        raise ValueError(f"{message.hex(' ')} is no program change, controller or note")
    names = MESSAGE_KEYS[kind][:-1]
    values = dict(zip(names, message[1:], strict=True))
    return values | {"channel": (message[0] & 0x0F) + 1}


def check_path(path: Any) -> str:
    """`path` where a controller can be bound to it. Raises ValueError."""
    text = path.removeprefix("/ampd/") if isinstance(path, str) else ""
    program = RIG_PROGRAM.fullmatch(text)
    if program and int(program.group(1)) < DATA_COUNT:
        return text
    if text in ACTIONS or text in GLOBALS or FOOT.fullmatch(text):
        return text
    if PARAM.fullmatch(text) and text.split("/")[0] not in ACTION_ROOMS:
        return text
    import difflib  # noqa: PLC0415 (a client starts sooner without)

    near = difflib.get_close_matches(text, [*ACTIONS, *GLOBALS], n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(f"path is {_show(path)}{hint}, expected such as amp/gain_db, mix or rig/next")


def describe_control(binding: Binding) -> str:
    """The controller as a person says it: controller 74 on channel 1."""
    where = "any channel" if binding.channel is None else f"channel {binding.channel}"
    return f"controller {binding.control} on {where}"


def describe_manner(binding: Binding, unit: str = "") -> str:
    """How the controller moves it, such as "-90 to 0 dB, curve fast"; "" for the plain manner."""
    ends = [f"{end:g}" if end is not None else "" for end in (binding.low, binding.high)]
    words = [binding.mode] if binding.mode not in ("absolute", action_mode(binding.path)) else []
    if any(ends):
        range_ = f"{ends[0] or 'its lowest'} to {ends[1] or 'its highest'}"
        words.append(f"{range_} {unit}".rstrip())
    if binding.curve != "linear":
        words.append(f"curve {binding.curve}")
    if binding.leds:
        words.append(f"leds {' '.join(map(str, binding.leds))}")
    return ", ".join(words)


def _entries(entry: Any, most: int, what: str, example: str) -> list[Any]:
    if entry is None:
        return []
    if not isinstance(entry, list):
        raise ValueError(f"holds {_show(entry)}, expected a list such as '- {example}'")
    if len(entry) > most:
        raise ValueError(f"has {len(entry)} {what}, expected at most {most}")
    return entry


def _numbered(number: int, parse: Callable[[Any], T], entry: Any) -> T:
    try:
        return parse(entry)
    except ValueError as error:
        raise ValueError(f"entry {number}: {error}") from error


def _fields(entry: Any, keys: Iterable[str], example: str) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"found {_show(entry)}, expected such as {example}")
    unknown = [key for key in entry if key not in keys]
    if unknown:
        raise ValueError(f"key {_show(unknown[0])} is unknown, expected one of {', '.join(keys)}")
    return entry


def _needed(fields: Mapping[str, Any], key: str) -> Any:
    if key not in fields:
        raise ValueError(f"has no {key}")
    return fields[key]


def _message(entry: Any) -> bytes:
    kinds = [kind for kind in MESSAGE_KEYS if isinstance(entry, dict) and kind in entry]
    if len(kinds) != 1:
        raise ValueError(
            f"found {_show(entry)}, expected one of program, control, note and its value"
        )
    kind = kinds[0]
    fields = _fields(entry, MESSAGE_KEYS[kind], "{program: 3, channel: 2}")
    channel = _channel(fields.get("channel", 1)) - 1
    data = [_data(key, _needed(fields, key)) for key in MESSAGE_KEYS[kind][:-1]]
    status = {"program": PROGRAM_CHANGE, "control": CONTROL_CHANGE, "note": NOTE_ON}[kind]
    return bytes([status | channel, *data])


def _control(value: Any, mode: str) -> int:
    control = _data("control", value)
    if control in BANK_CONTROLS:
        raise ValueError(f"control is {control}, which is bank select; take another")
    if mode == "14bit" and control >= BANK_CONTROLS[1]:
        raise ValueError(
            f"control is {control}, expected 1 to 31 for 14bit: {control} + 32 carries the lower "
            f"seven bits"
        )
    return control


def _data(key: str, value: Any) -> int:
    return _whole(key, value, 0, DATA_COUNT - 1)


def _channel(value: Any) -> int:
    return _whole("channel", value, 1, CHANNEL_COUNT)


def _whole(key: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{key} is {_show(value)}, expected {low} to {high}")
    return value


def _choice(key: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{key} is {_show(value)}, expected one of {', '.join(choices)}")
    return value


def _end(key: str, value: Any) -> float:
    """true and false are allowed, as a switch has them."""
    if isinstance(value, int | float) and abs(value) <= MAX_RANGE:
        return float(value)
    raise ValueError(f"{key} is {_show(value)}, expected a number within +-{MAX_RANGE:.0f}")


def _leds(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MAX_LEDS:
        raise ValueError(f"leds is {_show(value)}, expected a list of at most {MAX_LEDS} values")
    return tuple(_data("leds", item) for item in value)


def _show(value: Any) -> str:
    shown = {dict: "a mapping", list: "a list", type(None): "nothing"}.get(type(value))
    return shown or repr(value)[:40]
