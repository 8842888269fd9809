"""MIDI maps to start from: what a controller that was set up for a known floor unit sends.

A profile is data.  Program changes and bank select (controllers 0 and 32) are the engine's and the
same in all.  What a unit has and ampd has not (looper, wah, foot modes) is not bound.  ampd/MIDI.md
shows the tables.

Sources, facts only: the makers' lists as OpenMIDI (data/brands: line6, neuraldsp, kemper,
ikmultimedia) and the Kemper wiki keep them.  Block levels of hx from 102 up are ampd's own, where
Line 6 leaves them to the player; 102 to 104, 116 and 117 mean what they mean on a ToneX.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ampd.midi import Binding, action_mode

NONE = "none"
PANIC = "panic"
# A song must not lose these to a knob: learn leaves them alone.
RESERVED_PATHS = ("tap", "tuner", "mute", PANIC)


def _bind(control: int, path: str, low: float | None = None, high: float | None = None) -> Binding:
    return Binding(control, path, mode=action_mode(path) or "absolute", low=low, high=high)


def _volume_pedal(control: int) -> Binding:
    """Half way down is -11 dB: in a straight line of dB it would be -45, and no pedal is so."""
    return Binding(control, "master_db", curve="fast", low=-90.0, high=0.0)


def _engaged(control: int, path: str) -> Binding:
    """The unit says 127 for a block that is on; ampd has a bypass, which is 1 when it is off."""
    return _bind(control, path, 1.0, 0.0)


def _feet(controls: Iterable[int]) -> tuple[Binding, ...]:
    return tuple(_engaged(control, f"foot/{n}") for n, control in enumerate(controls, 1))


# The standard's own numbers for silence.
_STOPS = (_bind(120, "mute"), _bind(123, PANIC))

_HX = (
    _bind(1, "morph"),
    _volume_pedal(7),
    _bind(11, "morph"),
    *(Binding(48 + n, f"foot/{n}", mode="toggle") for n in range(1, 11)),
    _bind(64, "tap"),
    _bind(68, "tuner"),
    _bind(69, "snapshot/select"),
    _engaged(70, "bypass"),
    _bind(72, "rig/step"),
    _bind(102, "amp/gain_db", -20, 20),
    _bind(103, "amp/level_db", -40, 6),
    _bind(104, "mix"),
    _bind(105, "gate/threshold_db", -90, -20),
    _bind(106, "boost/gain_db", 0, 20),
    _bind(107, "amp/knob"),
    _bind(108, "amp/quality"),
    _bind(109, "eq/low_db", -12, 12),
    _bind(110, "eq/peak1_db", -12, 12),
    _bind(111, "eq/peak2_db", -12, 12),
    _bind(112, "eq/high_db", -12, 12),
    _bind(113, "delay/mix"),
    _bind(114, "delay/feedback", 0, 0.9),
    _bind(115, "reverb/mix"),
    _bind(116, "input/gain_db", -20, 20),
    _bind(117, "cab/bypass"),
    _bind(118, "reverb/decay_s"),
    _bind(119, "output/gain_db", -40, 6),
    *_STOPS,
)

_QUADCORTEX = (
    _bind(1, "morph"),
    _volume_pedal(7),
    *_feet(range(35, 43)),
    _bind(43, "snapshot/select"),
    _bind(44, "tap"),
    _bind(45, "tuner"),
    *_STOPS,
)

_KEMPER = (
    _volume_pedal(7),
    _bind(11, "morph"),
    *_feet((17, 18, 19, 20, 22, 24)),
    _engaged(26, "delay/bypass"),
    _engaged(27, "delay/bypass"),
    _engaged(28, "reverb/bypass"),
    _engaged(29, "reverb/bypass"),
    _bind(30, "tap"),
    _bind(31, "tuner"),
    Binding(36, "morph", mode="toggle"),
    _bind(48, "set/next"),
    _bind(49, "set/prev"),
    *(_bind(50 + slot, f"rig/program/{slot}") for slot in range(5)),
    _bind(68, "delay/mix"),
    _bind(69, "delay/feedback", 0, 0.9),
    _bind(70, "reverb/mix"),
    _bind(71, "reverb/decay_s"),
    _bind(72, "amp/gain_db", -20, 20),
    *_STOPS,
)

_TONEX = (
    _engaged(2, "delay/bypass"),
    _bind(5, "delay/time_ms"),
    _bind(6, "delay/feedback", 0, 0.9),
    _bind(8, "delay/mix"),
    _bind(9, "tuner"),
    _bind(10, "tap"),
    _bind(11, "morph"),
    _engaged(12, "bypass"),
    _engaged(14, "gate/bypass"),
    _bind(15, "gate/threshold_db", -90, -20),
    _bind(16, "gate/release_ms"),
    _bind(23, "eq/low_db", -12, 12),
    _bind(24, "eq/low_hz"),
    _bind(25, "eq/peak1_db", -12, 12),
    _bind(26, "eq/peak1_q"),
    _bind(27, "eq/peak1_hz"),
    _bind(28, "eq/high_db", -12, 12),
    _bind(29, "eq/high_hz"),
    _engaged(75, "reverb/bypass"),
    _bind(76, "reverb/decay_s"),
    _bind(77, "reverb/pre_delay_ms"),
    _bind(79, "reverb/mix"),
    _bind(86, "rig/prev"),
    _bind(87, "rig/next"),
    _bind(89, "set/prev"),
    _bind(90, "set/next"),
    _bind(102, "amp/gain_db", -20, 20),
    _bind(103, "amp/level_db", -40, 6),
    _bind(104, "mix"),
    _bind(116, "input/gain_db", -20, 20),
    _bind(117, "cab/bypass"),
    _volume_pedal(122),
    *_STOPS,
)

PROFILES: Mapping[str, tuple[Binding, ...]] = {
    "hx": _HX,
    "quadcortex": _QUADCORTEX,
    "kemper": _KEMPER,
    "tonex": _TONEX,
    NONE: (),
}


def compile(
    profile: str, channel: int, own: Iterable[Binding], rig: Iterable[Binding] = ()
) -> tuple[Binding, ...]:
    """The bindings in force: the rig's, over the player's own, over the profile's.

    profile: a key of PROFILES. channel: 0, or 1..16 for every binding that names none.  A binding
    of a lower layer that one message could move together with one of a higher layer gives way, but
    no rig takes the panic; within a layer a controller may move several targets.  In order of
    layers, highest first.
    """
    layers = [
        [replace(b, channel=channel) if channel and b.channel is None else b for b in layer]
        for layer in (rig, own, PROFILES[profile])
    ]
    foreign, player, base = layers
    outside = player + [b for b in base if not any(b.meets(higher) for higher in player)]
    kept = [b for b in outside if b.path == PANIC or not any(b.meets(h) for h in foreign)]
    return (*foreign, *kept)


def reserved(profile: str) -> dict[int, str]:
    """Controllers that learn must leave alone, and what the profile does with each."""
    return {b.control: b.path for b in PROFILES[profile] if b.path in RESERVED_PATHS}
