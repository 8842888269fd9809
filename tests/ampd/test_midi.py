import re
from itertools import product
from pathlib import Path

import pytest

from ampd.midi import (
    ACTIONS,
    CURVES,
    MAX_BINDINGS,
    MODES,
    Binding,
    action_mode,
    describe_control,
    describe_manner,
    kind_of,
    message_document,
    parse_binding,
    parse_bindings,
    parse_messages,
    to_document,
)


def refusal(entry: object) -> str:
    with pytest.raises(ValueError) as caught:
        parse_bindings(entry)
    return str(caught.value)


HEADER = Path(__file__).resolve().parents[2] / "ampd" / "engine" / "midi.hpp"
ENGINE_NAMES = {
    "MidiMode": {mode: mode for mode in MODES} | {"fourteenbit": "14bit"},
    "MidiCurve": {"linear": "linear", "slowstart": "slow", "faststart": "fast", "smooth": "smooth"},
    "MidiAction": {path.replace("/", ""): path for path in (*ACTIONS, "rig/program")}
    | {"snapshot": "snapshot/select"},
}


@pytest.mark.parametrize(
    ("enum", "here"),
    [
        ("MidiMode", list(MODES)),
        ("MidiCurve", list(CURVES)),
        ("MidiAction", [*list(ACTIONS)[:3], "rig/program", *list(ACTIONS)[3:]]),
    ],
)
def test_names_are_those_of_the_engine_in_its_order(enum: str, here: list[str]) -> None:
    body = re.search(rf"enum class {enum} : uint8_t {{(.*?)}};", HEADER.read_text(), re.S)
    assert body is not None
    words = re.findall(r"^ *k(\w+)|, k(\w+)", re.sub(r"//.*", "", body[1]), re.M)
    names = [(one or other).lower() for one, other in words]
    known = ENGINE_NAMES[enum]
    assert [known[name] for name in names if name not in ("none", "actioncount")] == here


def test_shortest_entry_is_absolute_linear_and_hears_every_channel() -> None:
    assert parse_bindings([{"control": 11, "path": "delay/mix"}]) == (
        Binding(11, "delay/mix", None, "absolute", "linear", None, None, ()),
    )


def test_full_entry_is_read() -> None:
    entry = {
        "control": 11,
        "path": "/ampd/delay/mix",
        "channel": 16,
        "mode": "toggle",
        "curve": "smooth",
        "low": 0.5,
        "high": 0,
        "leds": [0, 64],
    }
    assert parse_binding(entry) == Binding(
        11, "delay/mix", 16, "toggle", "smooth", 0.5, 0.0, (0, 64)
    )


@pytest.mark.parametrize("entry", [None, []])
def test_no_entries_are_no_bindings(entry: object) -> None:
    assert parse_bindings(entry) == ()
    assert parse_messages(entry) == ()


@pytest.mark.parametrize("path", [*ACTIONS, "rig/program/0", "rig/program/127"])
def test_action_has_its_own_mode_and_needs_none(path: str) -> None:
    binding = parse_binding({"control": 80, "path": path})
    assert binding.mode == action_mode(path) != ""
    assert parse_binding({"control": 80, "path": path, "mode": binding.mode}) == binding
    assert to_document(binding) == {"control": 80, "path": path}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("amp/gain_db", "param"),
        ("amp2/level_db", "param"),
        ("mix", "param"),
        ("input/gain_db", "param"),
        ("delay/bypass", "param"),
        ("bypass", "global"),
        ("master_db", "global"),
        ("morph", "global"),
        ("snapshot", "global"),
        ("foot/10", "foot"),
        ("rig/program/99", "action"),
        ("snapshot/select", "action"),
        ("tap", "action"),
    ],
)
def test_path_says_what_kind_of_target_it_is(path: str, kind: str) -> None:
    assert parse_binding({"control": 80, "path": path}).path == path
    assert kind_of(path) == kind


@pytest.mark.parametrize(
    "path",
    [
        "", "amp", "amp/", "/", "../etc", "rig/nexT", "rig/program/128", "rig/program/01",
        "rig/drive", "set/first", "foot/0", "foot/11", "snapshot/9", "amp/gain_db/x", "AMP/gain_db",
        "amp/gain db", "learn", "status", 3, None, ["mix"], "mix\n", "a" * 10_000,
    ],
)  # fmt: skip
def test_path_that_nothing_can_have_is_refused(path: object) -> None:
    text = refusal([{"control": 80, "path": path}])
    assert text.startswith("entry 1: path is ")
    assert len(text) < 200


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (5, "holds 5, expected a list such as '- {control: 11, path: delay/mix}'"),
        ([5], "entry 1: found 5, expected such as {control: 11, path: delay/mix}"),
        ([{}], "entry 1: has no path"),
        ([{"path": "mix"}], "entry 1: has no control"),
        ([{"control": 300, "path": "mix"}], "entry 1: control is 300, expected 0 to 127"),
        ([{"control": True, "path": "mix"}], "entry 1: control is True, expected 0 to 127"),
        ([{"control": 1.0, "path": "mix"}], "entry 1: control is 1.0, expected 0 to 127"),
        (
            [{"control": 32, "path": "mix"}],
            "entry 1: control is 32, which is bank select; take another",
        ),
        (
            [{"control": 3, "path": "mix", "channel": 0}],
            "entry 1: channel is 0, expected 1 to 16",
        ),
        (
            [{"control": 3, "path": "mix", "mode": "latch"}],
            "entry 1: mode is 'latch', expected one of " + ", ".join(MODES),
        ),
        (
            [{"control": 3, "path": "mix", "curve": ["slow"]}],
            "entry 1: curve is a list, expected one of " + ", ".join(CURVES),
        ),
        (
            [{"control": 40, "path": "mix", "mode": "14bit"}],
            "entry 1: control is 40, expected 1 to 31 for 14bit: 40 + 32 carries the lower seven "
            "bits",
        ),
        (
            [{"control": 3, "path": "tap", "mode": "toggle"}],
            "entry 1: mode is toggle, expected trigger or none: tap is an action",
        ),
        ([{"control": 3, "path": "tap", "low": 0}], "entry 1: has low, expected none: tap is an"),
        (
            [{"control": 3, "path": "mix", "low": 1, "high": True}],
            "entry 1: low and high are both 1, expected two different values",
        ),
        (
            [{"control": 3, "path": "mix", "low": float("nan")}],
            "entry 1: low is nan, expected a number within +-1000000",
        ),
        ([{"control": 3, "path": "mix", "high": 10**400}], "entry 1: high is 1000000"),
        (
            [{"control": 3, "path": "mix", "leds": 3}],
            "entry 1: leds is 3, expected a list of at most 10 values",
        ),
        ([{"control": 3, "path": "mix", "leds": [128]}], "entry 1: leds is 128, expected 0 to 127"),
        (
            [{"control": 3, "path": "mix", "leds": [0] * 11}],
            "entry 1: leds is a list, expected a list of at most 10 values",
        ),
        (
            [{"controll": 3, "path": "mix"}],
            "entry 1: key 'controll' is unknown, expected one of control, path, channel",
        ),
        ([{"control": 3, "path": "rig/nxt"}], "(did you mean rig/next?)"),
        (
            [{"control": 3, "path": "mix"}, {"control": 3, "path": "mix", "high": 0.5}],
            "entry 2: binds controller 3 on any channel to mix as entry 1 does; remove one",
        ),
    ],
)
def test_refusal_says_where_what_and_what_is_allowed(entry: object, sentence: str) -> None:
    assert sentence in refusal(entry)


def test_too_many_entries_are_refused() -> None:
    entries = [{"control": 3, "path": f"amp/knob_{n}"} for n in range(MAX_BINDINGS + 1)]
    assert len(parse_bindings(entries[1:])) == MAX_BINDINGS
    assert refusal(entries) == f"has {MAX_BINDINGS + 1} bindings, expected at most {MAX_BINDINGS}"


def test_one_controller_may_move_several_knobs() -> None:
    entries = [{"control": 3, "path": "delay/mix"}, {"control": 3, "path": "reverb/mix"}]
    assert [binding.path for binding in parse_bindings(entries)] == ["delay/mix", "reverb/mix"]


@pytest.mark.parametrize(("mode", "curve"), list(product(MODES, CURVES)))
@pytest.mark.parametrize("low", [None, -40.0])
@pytest.mark.parametrize(("channel", "leds"), [(None, ()), (16, (0, 127))])
def test_written_binding_reads_back_equal(
    mode: str, curve: str, low: float | None, channel: int | None, leds: tuple[int, ...]
) -> None:
    binding = Binding(31, "amp/gain_db", channel, mode, curve, low, 6.5, leds)
    assert parse_binding(to_document(binding)) == binding


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (Binding(3, "mix"), Binding(3, "morph"), True),
        (Binding(3, "mix"), Binding(4, "mix"), False),
        (Binding(3, "mix", 1), Binding(3, "mix", 2), False),
        (Binding(3, "mix", 1), Binding(3, "mix"), True),
        (Binding(3, "mix", 1), Binding(3, "tap", 1), True),
        (Binding(3, "mix", mode="14bit"), Binding(35, "tap"), True),
        (Binding(3, "mix", mode="14bit"), Binding(34, "tap"), False),
    ],
)
def test_bindings_meet_where_one_message_could_move_both(
    one: Binding, other: Binding, together: bool
) -> None:
    assert one.meets(other) is together
    assert other.meets(one) is together


def test_messages_are_the_bytes_on_the_wire() -> None:
    entries = [
        {"program": 3, "channel": 2},
        {"control": 20, "value": 127, "channel": 16},
        {"note": 60, "velocity": 100},
    ]
    messages = parse_messages(entries)
    # MIDI 1.0: status Cn, Bn, 9n with the channel counted from 0.
    assert messages == (b"\xc1\x03", b"\xbf\x14\x7f", b"\x90\x3c\x64")
    assert [message_document(message) for message in messages] == [
        entries[0],
        entries[1],
        {**entries[2], "channel": 1},
    ]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ([{"channel": 1}], "entry 1: found a mapping, expected one of program, control, note"),
        ([{"program": 1, "note": 2}], "entry 1: found a mapping, expected one of program,"),
        ([{"program": 128}], "entry 1: program is 128, expected 0 to 127"),
        ([{"note": 60}], "entry 1: has no velocity"),
        ([{"program": 1, "value": 2}], "entry 1: key 'value' is unknown, expected one of program"),
        ([{"program": 1}] * 13, "has 13 messages, expected at most 12"),
        ({"program": 1}, "holds a mapping, expected a list such as '- {program: 3, channel: 2}'"),
    ],
)
def test_bad_message_is_refused(entry: object, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_messages(entry)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("message", [b"", b"\xf8", b"\xc0", b"\xb0\x01", b"\xe0\x01\x02"])
def test_other_bytes_have_no_document(message: bytes) -> None:
    with pytest.raises(ValueError, match="is no program change, controller or note"):
        message_document(message)


def test_binding_is_told_as_a_person_says_it() -> None:
    plain = Binding(74, "mix")
    assert (describe_control(plain), describe_manner(plain)) == ("controller 74 on any channel", "")
    full = Binding(7, "master_db", 2, "momentary", "fast", -90.0, 0.0, (0, 64))
    assert describe_control(full) == "controller 7 on channel 2"
    assert describe_manner(full, "dB") == "momentary, -90 to 0 dB, curve fast, leds 0 64"
    assert describe_manner(Binding(3, "mix", high=0.5)) == "its lowest to 0.5"
