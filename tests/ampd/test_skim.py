"""What files say of themselves, and files that say what they should not."""

import json
import os
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from ampd import skim as skim_module
from ampd.rack import inspect_model
from ampd.skim import Facts, skim_impulse, skim_model, skim_rig
from tests.ampd.conftest import write_model

ROOT = Path(__file__).resolve().parents[2]
NAM: dict[str, Any] = {
    "version": "0.5.4",
    "architecture": "LSTM",
    "config": {"hidden_size": 3},
    "weights": [0.1] * 500,
    "sample_rate": 44100,
    "metadata": {
        "name": "My  amp\n\x1b[31m",
        "gear_make": "Fender",
        "gear_model": "Champ",
        "gear_type": "amp",
        "tone_type": "clean",
        "modeled_by": "somebody",
    },
}


def write(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize(
    "name", ["ts9/ts9.json", "ts9/ts9.nam", "champ/champ.json", "champ/champ.nam"]
)
def test_a_model_is_told_as_the_engine_tells_it(name: str) -> None:
    path = ROOT / "models" / name
    facts, info = skim_model(path), inspect_model(str(path))
    assert facts.reason == ""
    assert facts.title == info.name
    assert facts.family == info.family
    assert facts.architecture == info.architecture
    assert facts.weights == info.weight_count
    assert facts.rate_hz == info.sample_rate_hz


def test_a_model_says_its_gear_and_no_control_character_comes_through(tmp_path: Path) -> None:
    facts = skim_model(write(tmp_path / "a.nam", NAM))
    assert facts == Facts(
        title="My amp [31m",
        gear="Fender Champ, amp",
        tone="clean",
        author="somebody",
        family="nam",
        architecture="lstm",
        weights=500,
        rate_hz=44100,
    )


@pytest.mark.parametrize("chunk", [1, 7, 63, 64, 65, 1000])
def test_numbers_are_counted_wherever_the_chunks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """The same file, read in pieces that cut every list and every text somewhere."""
    monkeypatch.setattr(skim_module, "CHUNK_BYTES", chunk)
    chance = random.Random(1)
    nested = [[chance.uniform(-1, 1) for _ in range(n)] for n in (1, 2, 5, 40, 3, 200)]
    document = {
        "in_shape": [None, None, 1],
        "layers": [
            {"type": "lstm", "weights": nested},
            {"type": "dense", "weights": [[], [0.5]]},
        ],
        "metadata": {"name": "0123456789" * 9, "note": "[" + "1, " * 20},
    }
    facts = skim_model(write(tmp_path / "a.json", document))
    assert (facts.architecture, facts.weights) == ("lstm", 1 + 2 + 5 + 40 + 3 + 200 + 1)
    assert facts.title == "0123456789" * 9


def test_numbers_written_as_texts_are_counted_too(tmp_path: Path) -> None:
    document = {
        "variables": [{"name": "input.weight", "data": [str(n / 7) for n in range(300)]}],
        "dilations": [1, 2],
        "residual_channels": 12,
    }
    facts = skim_model(write(tmp_path / "a.json", document))
    assert (facts.family, facts.architecture, facts.weights) == ("pedalnet", "wavenet", 300)


def test_nets_within_a_net_are_counted(tmp_path: Path) -> None:
    document = {
        "version": "0.7.0",
        "architecture": "SlimmableContainer",
        "config": {"submodels": [{"max_value": n, "model": NAM} for n in (0.5, 1.0)]},
        "weights": [],
    }
    facts = skim_model(write(tmp_path / "a.nam", document))
    assert (facts.architecture, facts.weights) == ("container", 1000)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "is not JSON"),
        ("<html>", "is not JSON"),
        ('{"a": [0.1, 0.2' + ", 0.3" * 100, "is not JSON"),
        ("[1, 2]", "no object"),
        ("{}", "no kind of model"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": "' + "x" * 600_000 + '"}', "beside its numbers"),
        ('{"architecture": 5, "config": [], "weights": {"a": 1}}', "no weights"),
        ('{"architecture": "X", "config": {}, "weights": [1e999, -7]}', "no weights"),
        ('{"format": 1, "tensors": {"a": [1e999, "x"]}, "metadata": [1]}', None),
        ('{"in_shape": 1, "layers": 5}', "no weights"),
        ('{"in_shape": 1, "layers": [5, {"weights": 1e999}]}', None),
        ('{"variables": {"a": 1}, "dilations": 0, "residual_channels": 0}', "no weights"),
        ('{"model_data": 1, "state_dict": "\\ud800"}', None),
    ],
)
def test_a_hostile_model_is_an_entry(tmp_path: Path, document: str, reason: str | None) -> None:
    facts = skim_model(write(tmp_path / "a.nam", document))
    assert reason is None or reason in facts.reason
    assert 0 <= facts.weights <= skim_module.MAX_MODEL_BYTES


def test_random_damage_never_raises(tmp_path: Path) -> None:
    """400 bit flips, cuts and repeats of a good file; the seed is fixed."""
    chance = random.Random(4)
    good = json.dumps(NAM).encode()
    path = tmp_path / "a.nam"
    for _ in range(400):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 9)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
        facts = skim_model(path)
        assert facts.reason or facts.family
        assert facts.title.isprintable()


def test_what_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nam")
    assert "no file" in skim_model(tmp_path / "pipe.nam").reason
    assert "no file" in skim_model(Path("/dev/zero")).reason
    assert (
        skim_model(tmp_path / "nothing.nam").reason == "cannot be read (No such file or directory)"
    )


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.nam").open("wb") as file:
        file.truncate(2**31)
    assert "2147 MB" in skim_model(tmp_path / "a.nam").reason


@pytest.mark.parametrize(
    ("name", "form", "subtype"),
    [
        ("a.wav", "WAV", "PCM_16"),
        ("b.wav", "WAV", "FLOAT"),
        ("c.wav", "WAVEX", "PCM_24"),
        ("d.flac", "FLAC", "PCM_24"),
        ("e.aiff", "AIFF", "PCM_16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_an_impulse_is_told_as_soundfile_tells_it(
    tmp_path: Path, name: str, form: str, subtype: str, channels: int
) -> None:
    path = tmp_path / name
    sf.write(path, np.full((4410, channels), 0.5), 44100, subtype, format=form)
    facts = skim_impulse(path)
    assert facts.reason == ""
    assert (facts.rate_hz, facts.channels) == (44100, channels)
    assert facts.seconds == pytest.approx(0.1, abs=0.001)  # WAVEX pads by a few bytes


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither"),
        (b"RIFF\0\0\0\0WAVE", "without a sound"),
        (b"RIFF\0\0\0\0WAVE" + b"junk\xff\xff\xff\xff" * 9, "without a sound"),
        (b"FORM\0\0\0\0AIFFCOMM" + struct.pack(">IhIhHQ", 18, 1, 9, 16, 0x7FFF, 1), "no rate"),
        (b"fLaC", "cut short"),
        (b"fLaC" + b"\0" * 40, "rate of 0"),
    ],
)
def test_a_hostile_impulse_is_an_entry(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    assert reason in skim_impulse(tmp_path / "a.wav").reason


def test_a_song_is_no_impulse(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(8000 * 11), 8000)
    assert "11.0 s" in skim_impulse(tmp_path / "a.wav").reason


def test_a_rig_is_told_by_its_models_and_a_bad_one_by_its_reason(tmp_path: Path) -> None:
    write_model(tmp_path / "tiny.json")
    good = write(tmp_path / "a.yaml", "chain:\n  - amp: {model: tiny}\n  - cab: {impulse: green}\n")
    assert skim_rig(good) == Facts(gear="tiny green", family="rig", architecture="amp cab")
    bad = write(tmp_path / "b.yaml", "chain:\n  - amp: {modle: tiny}\n")
    assert "modle" in skim_rig(bad).reason
