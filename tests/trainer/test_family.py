"""`ampd-train family`: what it refuses and measures, and that the rack plays what it writes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ampd.bank import plan_rig
from ampd.library import Library
from ampd.rack import Engine, build
from tests.trainer.conftest import RATE_HZ, make_net
from trainer.cli import main
from trainer.family import measure, read_manifest, rig_text
from trainer.model_json import build_model, write_model
from trainer.networks import ResidualWaveNet, reference_forward
from trainer.signals import riff


def driven(gain: float) -> ResidualWaveNet:
    """An amp whose gain stands at `gain`: one net, driven harder and turned down again."""
    net = make_net(seed=4, dilations=(1, 2))
    net.input.weight.mul_(gain)
    net.divide_output(gain**0.5)
    return net


def capture(folder: Path, name: str, net: ResidualWaveNet, rate_hz: int = RATE_HZ) -> None:
    (folder / "models" / name).mkdir(parents=True, exist_ok=True)
    content = build_model(net, rate_hz, {"name": name})
    write_model(content, folder / "models" / name / f"{name}.json")


def manifest(folder: Path, text: str) -> Path:
    path = folder / "amp.yaml"
    path.write_text(text)
    return path


THREE = """
name: lead
knob: drive
program: 7
captures:
  - {model: low, at: 1}
  - {model: middle, at: 2.5}
  - {model: high, at: 4}
"""


@pytest.fixture
def amp(tmp_path: Path) -> Path:
    """A folder with three captures of one amp, and their manifest amp.yaml."""
    for name, gain in (("low", 1.0), ("middle", 2.5), ("high", 4.0)):
        capture(tmp_path, name, driven(gain))
    manifest(tmp_path, THREE)
    return tmp_path


def run(folder: Path, *more: str) -> int:
    models, rig = folder / "models", folder / "rigs" / "lead.yaml"
    words = ["family", str(folder / "amp.yaml"), "--models", str(models), "--rig", str(rig)]
    return main([*words, *more])


# 2e-6: what engine and trainer agree to for one net; a mixture of two is no worse.
@pytest.mark.parametrize("at", [1.0, 1.6, 2.5, 3.75, 4.0])
def test_written_rig_plays_in_the_rack_as_the_mix_of_its_captures(amp: Path, at: float) -> None:
    assert run(amp) == 0
    library = Library(amp / "rigs", amp / "models")
    rig = library.load_rig("lead")
    assert rig.program == 7
    dry = riff(0.5, RATE_HZ).astype(np.float32)
    engine = Engine(RATE_HZ, False, False)
    built = build(engine, 0, plan_rig(library, rig))
    assert built.values["amp/knob"] == 2.5
    engine.select(0)
    for _ in range(60):
        engine.process(np.zeros(64, np.float32))
        engine.service()
    engine.set_param(0, built.index["amp/knob"], at)
    engine.process(np.zeros(4800, np.float32))
    played = engine.process(dry)[0]
    low, high, share = (1.0, 2.5, (at - 1) / 1.5) if at <= 2.5 else (2.5, 4.0, (at - 2.5) / 1.5)
    signal = torch.from_numpy(dry)
    one, two = (reference_forward(driven(gain), signal).numpy() for gain in (low, high))
    expected = (1 - share) * one + share * two
    assert np.abs(played - expected).max() <= 2e-6 * np.abs(expected).max()


def test_table_shows_each_capture_and_where_another_helps(
    amp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(amp) == 0
    shown = capsys.readouterr().out
    assert "drive" in shown
    assert all(name in shown for name in ("low", "middle", "high"))
    assert "The knob does most around 2.5: without middle" in shown


def test_capture_that_is_its_neighbours_mix_is_not_missed(tmp_path: Path) -> None:
    # The last layer is linear: with its weights a fifth of the way the answer is there too.
    for name, gain in (("a", 1.0), ("b", 0.9), ("c", 0.5)):
        net = make_net(seed=4)
        net.divide_output(1 / gain)
        capture(tmp_path, name, net)
    text = "name: x\ncaptures: [{model: a, at: 0}, {model: b, at: 2}, {model: c, at: 10}]"
    family = measure(read_manifest(manifest(tmp_path, text)), tmp_path / "models")
    assert family.members[0].esr_without is None
    assert family.members[1].esr_without is not None
    assert family.members[1].esr_without <= 1e-10  # float32 against float32
    assert family.steps[0].level_db == pytest.approx(20 * np.log10(0.9), abs=1e-4)
    assert family.steps[0].correlation == pytest.approx(1)
    assert family.steps[0].lag_frames == 0
    assert family.steps[0].hole_db == pytest.approx(0, abs=1e-4)
    assert family.steps[0].warnings == ()


def test_capture_of_opposite_polarity_is_refused(
    amp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = driven(4.0)
    net.divide_output(-1.0)
    capture(amp, "high", net)
    assert run(amp) == 4
    error = capsys.readouterr().err
    assert "high: has the opposite polarity of middle" in error
    assert not (amp / "rigs" / "lead.yaml").exists()


def test_capture_that_lies_late_is_warned_of(tmp_path: Path) -> None:
    """A net of one block that hears only what was 6 frames ago, beside one that hears it now."""
    for name, tap in (("now", 2), ("late", 0)):
        net = make_net(channels=1, dilations=(3,))
        for parameter in net.parameters():
            parameter.zero_()
        net.input.weight.fill_(1e-3)
        next(net.blocks[0].parameters())[0, 0, tap] = 100.0
        net.output.weight.fill_(1.0)
        capture(tmp_path, name, net)
    text = "name: x\ncaptures: [{model: now, at: 0}, {model: late, at: 1}]"
    (step,) = measure(read_manifest(manifest(tmp_path, text)), tmp_path / "models").steps
    assert step.lag_frames == 6
    assert step.hole_db < -3
    assert any("late lies +6 frames from now" in warning for warning in step.warnings)


@pytest.mark.parametrize(
    ("net", "rate_hz", "words"),
    [
        (make_net(seed=4), 44100, "high.json: found 44100 Hz, expected the 48000 Hz of"),
        (make_net(causal=False, seed=4), RATE_HZ, "high.json: found a latency of 7 frames"),
    ],
)
def test_captures_that_cannot_play_in_step_are_refused(
    amp: Path, capsys: pytest.CaptureFixture[str], net: ResidualWaveNet, rate_hz: int, words: str
) -> None:
    capture(amp, "high", net, rate_hz)
    assert run(amp) == 4
    assert words in capsys.readouterr().err


def test_missing_model_is_named_with_where_it_was_looked_for(
    amp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (amp / "models" / "middle" / "middle.json").unlink()
    assert run(amp) == 4
    assert "no model middle, expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x", "expected the keys name and captures"),
        ("name: x\ncaptures: []\nrate: 1", "expected the keys name and captures"),
        ("name: x\ncaptures: [{model: a, at: 0}]", "captures: found 1 entries, expected a list of"),
        ("name: ../x\ncaptures: []", "name: found '../x', expected 1 to 64 of"),
        (
            "name: x\ncaptures: [{model: a, at: 5}, {model: b, at: 5}]",
            "captures[1].at: found 5 behind 5, expected rising positions",
        ),
        ("name: x\ncaptures: [{model: a}, {model: b, at: 5}]", "captures[0].at: found nan"),
        (
            "name: x\ncaptures: [{model: a/b, at: 1}, {model: b, at: 5}]",
            "captures[0].model: found 'a/b', expected the name of a model",
        ),
        ("name: x\ncaptures: [{model: a, att: 1}, {model: b, at: 5}]", "captures[0].att: no such"),
        ("name: x\nprogram: 128\ncaptures: []", "program: found 128, expected 0 to 127"),
    ],
)
def test_manifest_that_says_something_impossible_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    manifest(tmp_path, text)
    assert run(tmp_path) == 2
    assert words in capsys.readouterr().err


def test_rig_that_somebody_else_wrote_stays(amp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(amp) == 0
    assert run(amp) == 0  # its own is replaced
    rig = amp / "rigs" / "lead.yaml"
    rig.write_text("chain: []\n")
    assert run(amp) == 2
    assert rig.read_text() == "chain: []\n"
    assert "was not written by this command" in capsys.readouterr().err


def test_figures_are_json_for_programs(amp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(amp, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert [member["at"] for member in figures["members"]] == [1, 2.5, 4]
    assert len(figures["steps"]) == 2


def test_positions_are_written_as_a_player_writes_them(amp: Path) -> None:
    assert "1: low\n" in rig_text(read_manifest(amp / "amp.yaml"))
    assert "2.5: middle\n" in rig_text(read_manifest(amp / "amp.yaml"))
