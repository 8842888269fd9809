import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ampd.cli import build_parser
from ampd.config import Config, MidiConfig
from ampd.errors import CommandError, ConfigError, UnreachableError
from ampd.help import LEARN
from ampd.learn_verb import learn, list_bindings
from ampd.midi import Binding, check_path
from ampd.midi_file import add_binding, read_map
from ampd.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[2]
GAIN = {"minimum": -40.0, "maximum": 40.0, "unit": "dB"}


class FakeDaemon:
    """Answers as the daemon does: a refusal for a knob it has not, then these controllers."""

    def __init__(self, *moves: Sequence[Any]) -> None:
        self.moves = [list(move) for move in moves]
        self.asked: list[str] = []
        self.told: list[str] = []
        self.gone = False

    def __call__(self, path: str, limit_s: float) -> list[Any]:
        assert limit_s > 0
        self.asked.append(path)
        if path == "status":
            return [json.dumps({"params": {"amp/gain_db": GAIN}})]
        if path == "learn":
            if self.moves:
                return self.moves.pop(0)
            raise UnreachableError("No ampd answers.")
        if path == "flanger/mix":
            raise CommandError("flanger/mix: rig clean has no such address.")
        return [0.0]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(midi=MidiConfig(map=tmp_path / "midi.yaml"))


def run(daemon: FakeDaemon, config: Config, timeout_s: float = 30.0, **wish: Any) -> str:
    return learn(daemon, config, wish, timeout_s, daemon.told.append)


def test_next_controller_turns_the_knob(config: Config) -> None:
    daemon = FakeDaemon((1, 74, 12))
    assert run(daemon, config, path="amp/gain_db") == (
        "controller 74 on channel 1 now turns amp/gain_db, -40 to 40 dB; "
        f"it stands in {config.midi.map}, which the daemon takes over by itself"
    )
    assert read_map(config.midi.map) == (Binding(74, "amp/gain_db", 1),)
    assert daemon.told == ["move the controller for amp/gain_db ..."]


def test_range_mode_and_curve_go_into_the_file(config: Config) -> None:
    wish: dict[str, Any] = {"low": -10.0, "high": 20.0, "mode": "momentary", "curve": "slow"}
    text = run(FakeDaemon((16, 74, 12)), config, path="/ampd/amp/gain_db", **wish)
    assert "turns amp/gain_db, momentary, -10 to 20 dB, curve slow; " in text
    assert read_map(config.midi.map) == (
        Binding(74, "amp/gain_db", 16, "momentary", "slow", -10.0, 20.0),
    )


def test_omni_binds_every_channel(config: Config) -> None:
    text = run(FakeDaemon((3, 74, 12)), config, path="mix", channel=None)
    assert text.startswith("controller 74 on any channel now turns mix; ")
    assert read_map(config.midi.map) == (Binding(74, "mix"),)


def test_action_is_not_asked_for_lest_it_be_done(config: Config) -> None:
    daemon = FakeDaemon((1, 80, 127))
    text = run(daemon, config, path="rig/next")
    assert text.startswith("controller 80 on channel 1 now does rig/next; ")
    assert daemon.asked == ["status", "learn"]


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        (0, "it is bank select"),
        (32, "it is bank select"),
        (33, "it may be the lower half of controller 1; if it is a switch of yours, write it"),
        (63, "it may be the lower half of controller 31; if it is a switch of yours, write it"),
        (64, "profile hx keeps it for tap"),
        (68, "profile hx keeps it for tuner"),
        (120, "profile hx keeps it for mute"),
        (123, "profile hx keeps it for panic"),
    ],
)
def test_controller_with_a_duty_is_refused_once_and_it_listens_on(
    config: Config, control: int, reason: str
) -> None:
    daemon = FakeDaemon((1, control, 1), (1, control, 2), (1, 74, 3))
    run(daemon, config, path="mix")
    assert read_map(config.midi.map) == (Binding(74, "mix", 1),)
    refusals = [text for text in daemon.told if "cannot be learned" in text]
    assert len(refusals) == 1
    assert refusals[0].startswith(f"controller {control} cannot be learned: {reason}")
    assert daemon.asked.count("learn") == 3


def test_reserved_are_those_of_the_profile_in_use(tmp_path: Path) -> None:
    config = Config(midi=MidiConfig("kemper", map=tmp_path / "midi.yaml"))
    daemon = FakeDaemon((1, 30, 1), (1, 64, 2))
    run(daemon, config, path="mix")
    assert read_map(config.midi.map) == (Binding(64, "mix", 1),)


def test_fourteen_bits_wait_for_a_controller_that_has_them(config: Config) -> None:
    daemon = FakeDaemon((1, 74, 1), (1, 17, 2))
    run(daemon, config, path="mix", mode="14bit")
    assert read_map(config.midi.map) == (Binding(17, "mix", 1, "14bit"),)
    assert "controller 74 cannot be learned: control is 74, expected 1 to 31" in daemon.told[1]


def test_what_the_controller_and_the_knob_did_before_is_said(config: Config) -> None:
    add_binding(config.midi.map, Binding(11, "amp/gain_db", 1))
    add_binding(config.midi.map, Binding(75, "mix", 1))
    daemon = FakeDaemon((1, 104, 9), (1, 11, 9))
    run(daemon, config, path="mix")
    assert daemon.told[1:] == ["controller 75 on channel 1 is no longer mix"]
    daemon.told.clear()
    # 104 is given back to the profile, which has it for mix too: nothing to be told.
    run(daemon, config, path="mix")
    assert daemon.told[1:] == ["controller 11 on channel 1 is no longer amp/gain_db"]
    assert read_map(config.midi.map) == (Binding(11, "mix", 1),)


def test_what_the_profile_had_is_said(config: Config) -> None:
    daemon = FakeDaemon((1, 11, 9))
    run(daemon, config, path="amp/gain_db")
    assert daemon.told[1:] == ["controller 11 on any channel is no longer morph"]


def test_learning_the_same_again_only_changes_the_range(config: Config) -> None:
    run(FakeDaemon((1, 74, 9)), config, path="mix")
    daemon = FakeDaemon((1, 74, 9))
    run(daemon, config, path="mix", high=0.5)
    assert daemon.told == ["move the controller for mix ..."]
    assert read_map(config.midi.map) == (Binding(74, "mix", 1, high=0.5),)


def test_silence_ends_in_a_sentence_and_changes_nothing(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    monkeypatch.setattr("ampd.learn_verb.time.monotonic", lambda: now_s[0])

    class Silent(FakeDaemon):
        def __call__(self, path: str, limit_s: float) -> list[Any]:
            if path == "learn":
                now_s[0] += limit_s
            return super().__call__(path, limit_s)

    with pytest.raises(CommandError, match=r"no controller moved within 30 s; nothing is changed"):
        run(Silent(), config, path="mix")
    with pytest.raises(CommandError, match="no controller moved"):
        run(Silent((1, 64, 1)), config, path="mix")
    assert not config.midi.map.exists()


def test_daemon_that_leaves_is_not_a_pedal_that_rests(config: Config) -> None:
    with pytest.raises(UnreachableError):
        run(FakeDaemon(), config, path="mix")


@pytest.mark.parametrize(
    "answer", [(), (1, 74), (0, 74, 1), (1, 128, 1), (1, "74", 1), (True, 7, 1)]
)
def test_answer_that_is_no_controller_is_refused(config: Config, answer: tuple[Any, ...]) -> None:
    with pytest.raises(CommandError, match="expected channel, control, value"):
        run(FakeDaemon(answer), config, path="mix")
    assert not config.midi.map.exists()


def test_unknown_knob_is_the_daemons_refusal_before_anybody_moves(config: Config) -> None:
    daemon = FakeDaemon((1, 74, 1))
    with pytest.raises(CommandError, match="rig clean has no such address"):
        run(daemon, config, path="flanger/mix")
    assert "learn" not in daemon.asked


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"path": "rig/nxt"}, r"path is 'rig/nxt' \(did you mean rig/next\?\)"),
        ({"path": "tap", "low": 1.0}, "has low, expected none: tap is an action"),
        ({"path": "mix", "low": 1.0, "high": 1.0}, "low and high are both 1"),
    ],
)
def test_bad_wish_asks_nobody(config: Config, wish: dict[str, Any], sentence: str) -> None:
    daemon = FakeDaemon((1, 74, 1))
    with pytest.raises(CommandError, match=sentence):
        run(daemon, config, **wish)
    assert daemon.asked == []


def test_broken_map_is_found_before_anybody_moves(config: Config) -> None:
    config.midi.map.write_text("bindings: 3")
    daemon = FakeDaemon((1, 74, 1))
    with pytest.raises(ConfigError, match="bindings: holds 3"):
        run(daemon, config, path="mix")
    assert "learn" not in daemon.asked


def test_list_shows_every_binding_and_where_it_comes_from(config: Config) -> None:
    add_binding(config.midi.map, Binding(11, "delay/mix", 2, high=0.5))
    lines = list_bindings(config)
    assert lines[0].split() == [
        *("controller", "11", "on", "channel", "2", "delay/mix", "its", "lowest", "to", "0.5"),
        str(config.midi.map),
    ]
    assert len(lines) == len(PROFILES["hx"])  # one more, and the profile's own 11 less
    assert sum(line.endswith("  hx") for line in lines) == len(lines) - 1
    assert len({line.index(line.split()[-1]) for line in lines}) == 1


def ampd(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder)}
    argv = [sys.executable, "-m", "ampd.cli", "learn", *arguments]
    return subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_list_and_forget_need_no_daemon(tmp_path: Path) -> None:
    (tmp_path / "ampd.toml").write_text('[midi]\nprofile = "none"\nmap = "own.yaml"\n')
    add_binding(tmp_path / "own.yaml", Binding(74, "mix", 1))
    assert ampd(tmp_path, "--list").stdout == "controller 74 on channel 1  mix    own.yaml\n"
    done = ampd(tmp_path, "--forget", "/ampd/mix")
    assert (done.returncode, done.stdout) == (
        0,
        "own.yaml no longer binds controller 74 on channel 1 to mix\n",
    )
    done = ampd(tmp_path, "--forget", "mix")
    assert (done.returncode, done.stderr) == (
        1,
        "ampd: own.yaml: mix is not bound there; it binds nothing.\n",
    )


def test_without_a_daemon_code_3(tmp_path: Path) -> None:
    done = ampd(tmp_path, "mix", "--port", "9")
    assert done.returncode == 3
    assert done.stderr.startswith("ampd: No ampd answers at 127.0.0.1:9;")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("mix", "--list"),
        ("--list", "--forget", "mix"),
        ("mix", "--timeout", "0"),
        ("mix", "--timeout", "nan"),
        ("mix", "--mode", "latch"),
    ],
)
def test_wrong_command_line_is_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert ampd(tmp_path, *arguments).returncode == 2


def test_examples_in_the_help_are_command_lines() -> None:
    lines = [line.split("  ")[1] for line in LEARN.splitlines() if line.startswith("  ampd learn")]
    assert len(lines) == 5
    for line in lines:
        options = build_parser().parse_args(line.split()[1:])
        assert options.list or options.forget or check_path(options.path) == options.path
