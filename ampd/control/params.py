"""The table of params: every address, once.

What an address takes, in which unit and range, and what it says is written here for the rack
itself (FIXED) and read from the engine for globals and for the blocks of the rig that plays.  The
OSC tree, OSCQuery, `ampd set`, the layouts, the page and the reference in the README are made from
these rows.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ampd.command import SWITCHES, Value
from ampd.control.machine import Machine
from ampd.state import Knob, State

ROOT = "/ampd/"
NORM = "/norm"  # behind a number's address: the same on a fader's scale, 0 to 1
HALF = 0.5
FIND = "[s words] [i offset]"

Answer: TypeAlias = tuple[Value | int, ...]
Reader: TypeAlias = Callable[[State, Machine], Answer]


@dataclass(frozen=True)
class Param:
    """One address. types: OSC type tags of its value; "T" is T or F, "s..." any number of texts.

    access    "rw" a value to read and set; "r" to read; "w" a button: no argument, or 1 (0, let
              go, does nothing); "event" sent to subscribers alone; "call" a request with an answer
    answers   for a button: the path of what it moves, which is where the answer comes
    arguments for a call: what it takes, as people write it
    """

    path: str
    types: str
    access: str
    text: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    default: float | None = None
    taper: str = "linear"  # "linear" | "log" | "toggle"
    answers: str = ""
    arguments: str = ""
    read: Reader | None = field(default=None, compare=False)
    choices: Callable[[State], tuple[str, ...]] | None = field(default=None, compare=False)

    @property
    def address(self) -> str:
        """The whole OSC address."""
        return ROOT + self.path

    @property
    def is_number(self) -> bool:
        """Whether it can be set and has a range, and so a /norm form."""
        return self.access == "rw" and self.minimum is not None

    def to_norm(self, value: float) -> float:
        """Where `value` stands on a fader, 0 to 1."""
        low, high = self._range()
        value = min(max(float(value), low), high)
        if self.taper == "log":
            position = math.log(value / low) / math.log(high / low)
        else:
            position = (value - low) / (high - low)
        return min(max(position, 0.0), 1.0)

    def from_norm(self, position: float) -> float:
        """The value where a fader stands; `position` is clamped to 0..1."""
        low, high = self._range()
        position = min(max(float(position), 0.0), 1.0)
        if self.taper == "toggle":
            return high if position >= HALF else low
        if self.taper == "log":
            return min(max(low * math.pow(high / low, position), low), high)
        return low + (high - low) * position

    def _range(self) -> tuple[float, float]:
        assert self.minimum is not None
        assert self.maximum is not None
        return self.minimum, self.maximum


def _button(path: str, answers: str, text: str) -> Param:
    return Param(path, "", "w", text, answers=answers)


def _call(path: str, arguments: str, types: str, text: str) -> Param:
    return Param(path, types, "call", text, arguments=arguments)


def _seen(path: str, types: str, text: str, read: Reader, unit: str = "") -> Param:
    return Param(path, types, "r", text, unit, read=read)


def _event(path: str, types: str, text: str) -> Param:
    return Param(path, types, "event", text)


def _rig_names(state: State) -> tuple[str, ...]:
    return tuple(entry.name for entry in state.rigs)


def _switch_ms(state: State) -> float:
    return state.last_switch.ms_to_audible if state.last_switch else 0.0


def _block_loads(state: State) -> str:
    blocks = state.load.blocks
    shares = ([round(100 * s, 3) for s in (b.p50, b.p99, b.maximum)] for b in blocks)
    rows = [[block.name, *each] for block, each in zip(blocks, shares, strict=True)]
    return json.dumps(rows, separators=(",", ":"))


FIXED: tuple[Param, ...] = (
    Param("rig", "s", "rw", "the rig that plays", choices=_rig_names),
    _button("rig/next", "rig", "the next rig in program order that can be played"),
    _button("rig/prev", "rig", "the one before"),
    _seen("rigs", "s...", "names in program order, of the set", lambda s, _: _rig_names(s)),
    Param(
        "set",
        "s",
        "rw",
        'whose rigs are under the foot, "" all of the folder; what plays plays on',
        choices=lambda s: s.sets,
    ),
    _button("set/next", "set", "the next set in bank order"),
    _button("set/prev", "set", "the one before"),
    _seen("sets", "s...", "names in bank order", lambda s, _: s.sets),
    _button("snapshot/next", "snapshot", "the next snapshot of the rig"),
    _button("snapshot/prev", "snapshot", "the one before"),
    _seen("snapshots", "s...", "names, of the rig that plays", lambda s, _: s.snapshots),
    _button("tap", "tempo_bpm", "one tap of the tempo"),
    _button("panic", "bypass", "the dry guitar at once: tails cut, not muted"),
    _seen("jack", "s", "running, waiting or lost", lambda s, _: (s.jack.state,)),
    _seen("status", "s", "the whole State as JSON", lambda s, _: (s.to_json(),)),
    _seen(
        "status/load_p50",
        "f",
        "half of the blocks take less",
        lambda s, _: (s.load.p50 * 100,),
        "%",
    ),
    _seen("status/load_p99", "f", "99 of 100 take less", lambda s, _: (s.load.p99 * 100,), "%"),
    _seen("status/load_max", "f", "the longest block", lambda s, _: (s.load.maximum * 100,), "%"),
    _seen(
        "status/load_blocks",
        "s",
        "JSON: name, p50, p99, maximum of each block of the rig that is heard, %",
        lambda s, _: (_block_loads(s),),
    ),
    _seen(
        "status/xruns",
        "i",
        "as JACK counts them, whoever caused them",
        lambda s, _: (s.jack.xruns,),
    ),
    _seen(
        "status/late_engine",
        "i",
        "blocks late by the engine's own work",
        lambda s, _: (s.load.late_engine,),
    ),
    _seen(
        "status/late_machine",
        "i",
        "blocks late while the machine did not run them",
        lambda s, _: (s.load.late_machine,),
    ),
    _seen(
        "status/rate_hz",
        "i",
        "JACK's rate, 0 without one",
        lambda s, _: (s.jack.sample_rate_hz,),
        "Hz",
    ),
    _seen(
        "status/period_frames",
        "i",
        "JACK's period, 0 without one",
        lambda s, _: (s.jack.period_frames,),
        "frames",
    ),
    _seen("status/realtime", "T", "JACK runs in real time", lambda s, _: (s.jack.realtime,)),
    _seen(
        "status/latency_frames",
        "i",
        "what the rig that is heard delays",
        lambda s, _: (s.latency_frames,),
        "frames",
    ),
    _seen(
        "status/switch_ms",
        "f",
        "the last switch, from the request to the first audible frame",
        lambda s, _: (_switch_ms(s),),
        "ms",
    ),
    _seen(
        "status/saved", "T", "what plays is kept for the next start", lambda s, _: (s.store.saved,)
    ),
    _seen("status/error", "s", 'what went wrong last, "" nothing', lambda s, _: (s.last_error,)),
    _seen(
        "status/temperature_c",
        "f",
        "the hottest sensor, 0 without one",
        lambda _, m: (m.temperature_c,),
        "C",
    ),
    _seen(
        "status/throttled", "T", "the processor slows itself down", lambda _, m: (m.is_throttled,)
    ),
    _call(
        "subscribe",
        "[i port] [s pattern] [i lease_s] [s mode]",
        "i",
        "a dump of all that the pattern matches, then every change; answers the lease in s",
    ),
    _call("models", FIND, "s", "JSON: the library's models that have all the words"),
    _call("irs", FIND, "s", "JSON: the same of its impulse responses"),
    _call("unsubscribe", "[i port]", "", "no more changes"),
    _call("ping", "[i port]", "ssi", "/ampd/pong: ampd, version, protocol; renews the lease"),
    _call(
        "learn",
        "",
        "iii",
        "channel 1 to 16, number, value of the controller that moves within a minute",
    ),
    _call("hello", "[h number]", "h", "a number; a guest that sends it back is known by its place"),
    _call("pair", "[s new]", "s", "the pairing token, to this machine alone; new: another one"),
    _event(
        "event/swap",
        "ssfs",
        "rig, rig before, ms from request to first audible frame, crossfade or duck",
    ),
    _event("event/fault", "ss", "rig in trouble, and what it is"),
    _event(
        "tuner/pitch",
        "sff",
        'note such as E2, cents, Hz; "" and 0: nothing is heard; 20 a second while tuning',
    ),
    _event("meter/in", "ff", "peak and rms of the guitar since the last one, dB; 25 a second"),
    _event("meter/out", "ff", "the same of what goes out, of the louder side"),
    _event("done", "h", "to who signed: the counter of a message that was done, or refused"),
    _event("error", "ss", "to the sender of what was refused: the address, and one sentence"),
)
BY_PATH: Mapping[str, Param] = {param.path: param for param in FIXED}


def from_knob(path: str, knob: Knob) -> Param:
    """The row of a global or of a knob of the rig that plays."""
    return Param(
        path=path,
        types="T" if path in SWITCHES else "f",
        access="rw",
        text=knob.text,
        unit=knob.unit,
        minimum=knob.minimum,
        maximum=knob.maximum,
        default=knob.default,
        taper="toggle" if knob.is_switch else knob.taper,
    )


def from_file(path: str) -> Param:
    """The row of a file that a block of the rig that plays reads."""
    what = "the model that it plays" if path.endswith("/model") else 'the cab, "" the built-in one'
    return Param(path, "s", "rw", f"{what}; another one is another sound until the rig is selected")


def rows(state: State) -> Iterator[Param]:
    """Every address that there is now: the fixed ones, globals, and the knobs of the rig."""
    yield from FIXED
    for path, knob in state.params.items():
        yield from_knob(path, knob)
    for path in state.files:
        yield from_file(path)


def find(state: State, path: str) -> Param | None:
    """The row of one path, its /norm form included; None where there is none now."""
    if path in BY_PATH:
        return BY_PATH[path]
    if path in state.files:
        return from_file(path)
    if path.endswith(NORM):
        base = find(state, path.removesuffix(NORM))
        return norm_of(base) if base is not None and base.is_number else None
    knob = state.params.get(path)
    return from_knob(path, knob) if knob is not None else None


def norm_of(param: Param) -> Param:
    """The row of a number's /norm form."""
    default = param.to_norm(param.default) if param.default is not None else None
    text = f"{param.path} on a fader's scale"
    return Param(param.path + NORM, "f", "rw", text, "", 0.0, 1.0, default)


def read(param: Param, state: State, machine: Machine) -> Answer | None:
    """What the address holds now; None where it holds nothing."""
    if param.read is not None:
        return param.read(state, machine)
    path = param.path.removesuffix(NORM)
    if path in state.files:
        return (state.files[path],)
    if path in ("rig", "set"):
        return (state.wanted_rig if path == "rig" else state.set,)
    value = state.globals.get(path, state.values.get(path))
    if value is None:
        return None
    if param.path != path:
        knob = state.params.get(path)
        return (from_knob(path, knob).to_norm(float(value)),) if knob is not None else None
    return (value,)


def with_units(param: Param) -> str:
    """The range as people write it: "-40 to 40 dB"; "" where there is none."""
    if param.minimum is None or param.maximum is None:
        return ""
    if param.taper == "toggle":
        return "off or on"
    unit = f" {param.unit}" if param.unit else ""
    return f"{param.minimum:g} to {param.maximum:g}{unit}"
