import re
from pathlib import Path

import pytest

from ampd.config import MidiConfig, parse_config
from ampd.errors import ConfigError
from ampd.midi import (
    MAX_BINDINGS,
    Binding,
    describe_manner,
    kind_of,
    parse_bindings,
    to_document,
)
from ampd.profiles import NONE, PROFILES, compile, reserved

ROOT = Path(__file__).resolve().parents[2]
UNITS = [name for name in PROFILES if name != NONE]
ENGINE_BINDINGS = 128


def moves(bindings: tuple[Binding, ...], control: int, channel: int = 1) -> list[str]:
    """The targets of a message, as the engine would find them."""
    return [b.path for b in bindings if control in b.controls and b.channel in (None, channel)]


@pytest.mark.parametrize("name", PROFILES)
def test_profile_could_stand_in_a_file(name: str) -> None:
    documents = [to_document(binding) for binding in PROFILES[name]]
    assert parse_bindings(documents) == PROFILES[name]


@pytest.mark.parametrize("name", PROFILES)
def test_profile_gives_each_controller_one_meaning(name: str) -> None:
    controls = [control for binding in PROFILES[name] for control in binding.controls]
    assert len(controls) == len(set(controls))


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_reaches_what_no_song_can_do_without(name: str) -> None:
    paths = {binding.path for binding in PROFILES[name]}
    assert {"tap", "tuner", "mute", "panic", "master_db", "morph"} <= paths
    assert reserved(name).keys() == {
        b.control for b in PROFILES[name] if b.path in ("tap", "tuner", "mute", "panic")
    }


@pytest.mark.parametrize(
    ("profile", "control", "path"),
    [
        ("hx", 7, "master_db"),
        ("hx", 11, "morph"),
        ("hx", 64, "tap"),
        ("hx", 68, "tuner"),
        ("hx", 69, "snapshot/select"),
        ("hx", 72, "rig/step"),
        ("hx", 49, "foot/1"),
        ("hx", 58, "foot/10"),
        ("hx", 102, "amp/gain_db"),
        ("hx", 117, "cab/bypass"),
        ("hx", 120, "mute"),
        ("hx", 123, "panic"),
        ("quadcortex", 35, "foot/1"),
        ("quadcortex", 42, "foot/8"),
        ("quadcortex", 43, "snapshot/select"),
        ("quadcortex", 44, "tap"),
        ("quadcortex", 45, "tuner"),
        ("kemper", 11, "morph"),
        ("kemper", 30, "tap"),
        ("kemper", 31, "tuner"),
        ("kemper", 50, "rig/program/0"),
        ("kemper", 54, "rig/program/4"),
        ("tonex", 9, "tuner"),
        ("tonex", 10, "tap"),
        ("tonex", 86, "rig/prev"),
        ("tonex", 87, "rig/next"),
        ("tonex", 117, "cab/bypass"),
        ("tonex", 122, "master_db"),
    ],
)
def test_unit_means_what_its_maker_says(profile: str, control: int, path: str) -> None:
    """Oracle: the makers' published lists."""
    assert moves(compile(profile, 0, ()), control) == [path]


@pytest.mark.parametrize("control", [1, 2, 3, 59, 60, 71])
def test_hx_leaves_the_rest_to_the_player(control: int) -> None:
    """Expression pedals 2 and 3, the toe switch, the looper and the foot mode."""
    expected = ["morph"] if control == 1 else []
    assert moves(compile("hx", 0, ()), control) == expected


@pytest.mark.parametrize(("profile", "control"), [("hx", 70), ("quadcortex", 35), ("tonex", 12)])
def test_unit_that_says_127_for_on_lifts_the_bypass(profile: str, control: int) -> None:
    (binding,) = [b for b in PROFILES[profile] if b.control == control]
    assert kind_of(binding.path) in ("global", "foot")
    assert (binding.low, binding.high) == (1.0, 0.0)


def test_volume_pedal_half_way_down_is_still_heard() -> None:
    """x = 64/127 on the curve 1 - (1 - x)^3 between -90 and 0 dB: -11 dB, in a line -44.6."""
    (pedal,) = [b for b in PROFILES["hx"] if b.path == "master_db"]
    assert (pedal.low, pedal.high, pedal.curve) == (-90.0, 0.0, "fast")
    share = 1 - (1 - 64 / 127) ** 3
    assert -90 + 90 * share == pytest.approx(-11.0, abs=0.05)


def test_higher_layer_takes_the_controller_from_the_lower() -> None:
    own = (Binding(11, "delay/mix"), Binding(74, "amp/gain_db"))
    rig = (Binding(74, "reverb/mix"),)
    bindings = compile("hx", 0, own, rig)
    assert moves(bindings, 74) == ["reverb/mix"]
    assert moves(bindings, 11) == ["delay/mix"]
    assert moves(bindings, 1) == ["morph"]
    assert moves(compile("none", 0, own, rig), 1) == []


def test_binding_of_one_channel_takes_the_controller_from_one_of_any() -> None:
    bindings = compile("hx", 0, (Binding(11, "delay/mix", 3),))
    assert moves(bindings, 11, channel=3) == ["delay/mix"]
    assert moves(bindings, 11, channel=4) == []


def test_fourteen_bits_take_both_controllers() -> None:
    bindings = compile("hx", 0, (Binding(17, "amp/gain_db", mode="14bit"),))
    assert moves(bindings, 49) == ["amp/gain_db"]


def test_one_layer_may_move_several_knobs() -> None:
    rig = (Binding(11, "delay/mix"), Binding(11, "reverb/mix"))
    assert moves(compile("hx", 0, (), rig), 11) == ["delay/mix", "reverb/mix"]


def test_no_rig_takes_the_panic() -> None:
    """A rig may come from anybody; the player's own map may."""
    rig = (Binding(123, "mix"), Binding(120, "mix"))
    assert sorted(moves(compile("hx", 0, (), rig), 123)) == ["mix", "panic"]
    assert moves(compile("hx", 0, (), rig), 120) == ["mix"]
    assert moves(compile("hx", 0, (Binding(123, "mix"),)), 123) == ["mix"]


def test_channel_of_the_settings_is_that_of_bindings_without_one() -> None:
    own = (Binding(74, "amp/gain_db"), Binding(75, "mix", 2))
    bindings = compile("hx", 5, own, (Binding(76, "morph"),))
    assert {b.path for b in bindings if b.channel != 5} == {"mix"}
    assert moves(bindings, 64, channel=5) == ["tap"]
    assert moves(bindings, 64, channel=1) == []


@pytest.mark.parametrize("name", PROFILES)
def test_the_fullest_map_fits_the_engine(name: str) -> None:
    own = tuple(Binding(2, f"amp/knob_{n}") for n in range(MAX_BINDINGS))
    assert len(compile(name, 0, own)) <= ENGINE_BINDINGS


def test_settings_choose_profile_channel_and_map() -> None:
    place = Path("/etc/ampd/ampd.toml")
    text = '[midi]\nprofile = "kemper"\nchannel = 16\nmap = "my.yaml"\nfeedback = false\n'
    assert parse_config(text, place).midi == MidiConfig(
        "kemper", 16, Path("/etc/ampd/my.yaml"), False
    )
    assert parse_config("", place).midi == MidiConfig(map=Path("/etc/ampd/midi.yaml"))
    shipped = parse_config((ROOT / "ampd.toml").read_text(encoding="utf-8"), Path("ampd.toml"))
    assert shipped.midi == MidiConfig()
    assert MidiConfig().profile in UNITS


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('profile = "helix"', "profile is 'helix', expected one of hx, quadcortex, kemper, tonex,"),
        ("channel = 17", "channel is 17, expected a whole number from 0 to 16"),
        ("channel = true", "channel is True, expected a whole number from 0 to 16"),
        ('map = ""', "map is '', expected a file, absolute or relative to this file"),
        ("feedback = 1", "feedback is 1, expected true or false"),
    ],
)
def test_bad_setting_is_named_with_what_is_allowed(line: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"[midi]\n{line}\n", Path("ampd.toml"))
    assert f"[midi] {sentence}" in str(caught.value)


def table(name: str) -> str:
    rows = [
        f"| {b.control} | `{b.path}` | {describe_manner(b)} |".replace("  |", " |")
        for b in PROFILES[name]
    ]
    return "\n".join(["| controller | what | how |", "|---|---|---|", *rows])


@pytest.mark.parametrize("name", UNITS)
def test_page_shows_the_profile_as_it_is(name: str) -> None:
    text = (ROOT / "ampd" / "MIDI.md").read_text(encoding="utf-8")
    found = re.search(rf"^### {name}\n.*?(\| controller .*?)\n(?:\n|$)", text, re.M | re.S)
    assert found is not None
    assert found[1].rstrip("\n") == table(name)
