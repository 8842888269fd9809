"""One State: what was asked (rig, values) and what was observed (engine, JACK).

A State never changes; the session replaces it and counts `revision` up, so every way in shows the
same truth.  The events are what a way in may pass on as they happen.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

from ampd import __version__
from ampd.command import Value

FLOOR_DB = -120.0  # what is softer is told as this
FLOOR = 10 ** (FLOOR_DB / 20)
Loud: TypeAlias = tuple[float, float]  # peak, rms; 1 is full scale
NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class RigEntry:
    """A rig of the bank as people see it."""

    name: str
    program: int | None  # MIDI program number; None beyond the 128th and for files outside
    built: bool = False  # ready to be switched to without waiting
    error: str = ""  # why it cannot be played


@dataclass(frozen=True)
class Knob:
    """What a param accepts."""

    unit: str  # "dB", "" for a bare number
    minimum: float
    maximum: float
    default: float
    is_switch: bool
    text: str  # one phrase for people
    taper: str = "linear"  # "linear" | "log": how a fader runs from minimum to maximum


@dataclass(frozen=True)
class JackState:
    """The host: what JACK is doing."""

    state: str = "waiting"  # "running" | "waiting" (no server yet) | "lost" (it went away or hangs)
    reason: str = ""
    server: str = ""
    client: str = ""
    sample_rate_hz: int = 0
    period_frames: int = 0
    realtime: bool = False
    xruns: int = 0  # as the server counts them, whoever caused them
    links: tuple[tuple[str, str], ...] = ()  # (source, destination)


@dataclass(frozen=True)
class WiringState:
    """What the player did to the links by hand, (source, destination); own ports as ":in_1"."""

    made: tuple[tuple[str, str], ...] = ()  # that no pattern asks for
    apart: tuple[tuple[str, str], ...] = ()  # that a pattern asks for, and that were taken away


@dataclass(frozen=True)
class BlockLoad:
    """The same of one block of the rig that is heard."""

    name: str  # "amp"; "amp+amp2" of two side by side
    p50: float
    p99: float
    maximum: float


@dataclass(frozen=True)
class Quarantined:
    """A block that is not played as it is, though its rig is."""

    rig: str
    block: str  # "" the whole rig
    models: tuple[str, ...]  # that the block plays, or its impulse response
    # "broken": it gave what is no number; "slow": the machine cannot carry it now; "smaller": nor
    # its whole size, so the smallest one plays
    reason: str


@dataclass(frozen=True)
class StoreState:
    """What is kept for the next start."""

    path: str = ""  # of the file
    saved: bool = True  # what plays, as it is turned now, is in it
    error: str = ""  # why it is not


@dataclass(frozen=True)
class LoadState:
    """Time of the audio callback as a share of its period, over about the last second."""

    p50: float = 0.0
    p99: float = 0.0
    maximum: float = 0.0
    late_engine: int = 0  # blocks late by the engine's own CPU time, since the engine started
    late_machine: int = 0  # blocks late while the thread did not run
    blocks: tuple[BlockLoad, ...] = ()  # in the order of the sound; empty right after a switch


@dataclass(frozen=True)
class Switch:
    """The last switch that became audible."""

    source: str
    target: str
    ms_to_audible: float  # from the request to the first frame of the new rig
    method: str  # "crossfade", or "duck" where the machine cannot carry two rigs


@dataclass(frozen=True)
class State:
    """Everything worth showing, at one instant."""

    revision: int = 0
    version: str = __version__
    uptime_s: float = 0.0
    rig: str = ""  # heard
    wanted_rig: str = ""  # asked for; the same once the switch is audible
    values: Mapping[str, float] = field(default_factory=dict)  # of the wanted rig, by path
    params: Mapping[str, Knob] = field(default_factory=dict)  # the same paths, and the globals
    files: Mapping[str, str] = field(default_factory=dict)  # "amp/model", of the wanted rig
    snapshots: tuple[str, ...] = ()  # names, of the wanted rig; snapshot n is [n - 1]
    globals: Mapping[str, bool | float] = field(default_factory=dict)
    set: str = ""  # whose rigs are under the foot; "" = all of the folder
    sets: tuple[str, ...] = ()  # in bank order
    rigs: tuple[RigEntry, ...] = ()  # of the set, in program order
    sample_rate_hz: int = 0  # of the engine
    isa: str = ""
    latency_frames: int = 0  # of the rig that is heard, told to JACK too
    warnings: tuple[str, ...] = ()  # about the wanted rig
    jack: JackState = field(default_factory=JackState)
    wiring: WiringState = field(default_factory=WiringState)
    load: LoadState = field(default_factory=LoadState)
    store: StoreState = field(default_factory=StoreState)
    quarantined: tuple[Quarantined, ...] = ()
    last_switch: Switch | None = None
    last_error: str = ""

    def to_json(self) -> str:
        """The state as one line of JSON, keys as the fields."""
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True)
class Change:
    """A value was taken: the path and the value as accepted."""

    path: str
    value: Value


@dataclass(frozen=True)
class Swapped:
    """A new rig became audible."""

    switch: Switch


@dataclass(frozen=True)
class Faulted:
    """A rig is in trouble; the sound goes on without it."""

    rig: str
    text: str


@dataclass(frozen=True)
class Tuned:
    """What the tuner hears; hz 0: nothing."""

    note: str  # "E2"
    cents: float  # from the note, -50 to 50
    hz: float


@dataclass(frozen=True)
class Levels:
    """How loud it was for a moment, in dB of full scale; -120 is silence."""

    in_peak_db: float
    in_rms_db: float
    out_peak_db: float  # of the louder side
    out_rms_db: float


def tuned(hz: float, note: int, cents: float) -> Tuned:
    """What the tuner hears, of a MIDI note number; hz <= 0: nothing."""
    if hz <= 0:
        return Tuned("", 0.0, 0.0)
    return Tuned(f"{NOTES[note % 12]}{note // 12 - 1}", round(cents, 2), round(hz, 3))


def levels(heard: Loud, left: Loud, right: Loud) -> Levels:
    """Peak and rms, linear, of the guitar and of both sides of the output, as what is told."""
    out = (max(left[0], right[0]), max(left[1], right[1]))
    return Levels(*(_db(each) for each in (*heard, *out)))


def _db(level: float) -> float:
    return round(20 * math.log10(level), 1) if level > FLOOR else FLOOR_DB


Event: TypeAlias = Change | Swapped | Faulted | Tuned
