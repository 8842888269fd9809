import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.trainer.conftest import RATE_HZ, gear, write_wav
from tests.trainer.test_cli import TINY, folders
from trainer.checkpoint import load_checkpoint
from trainer.cli import main
from trainer.signals import riff


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pair of six seconds whose target is stereo and 500 frames late."""
    folder = tmp_path_factory.mktemp("sick")
    dry = riff(6.0, RATE_HZ)
    late = np.concatenate([np.zeros(500), gear(dry)])[: len(dry)]
    write_wav(folder / "dry.wav", dry)
    write_wav(folder / "wet.wav", np.stack([late, late], 1))
    return folder


def inspect(folder: Path, *options: str) -> int:
    return main(["inspect", str(folder / "dry.wav"), str(folder / "wet.wav"), *options])


def test_inspect_prints_a_line_for_each_finding_and_the_memory_against_the_recipe(
    sick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(sick, "--recipe", "realtime") == 0
    output = capsys.readouterr().out
    assert "fixed  stereo" in output
    assert "fixed  lag" in output
    assert "warn   short" in output
    assert "frames of memory, the recipe has 2047" in output
    assert max(map(len, output.split("\n\n")[1].splitlines())) <= 100


def test_inspect_json_has_stable_codes_and_sizes(
    sick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(sick, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    found = {f["code"]: f for f in content["findings"]}
    assert set(found) == {"stereo", "lag", "short"}
    assert found["lag"]["size"] == pytest.approx(500, abs=4)
    assert found["lag"]["fixed"]
    assert content["measures"]["memory"]["frames"] > 0


def test_fix_writes_a_pair_without_the_faults(
    sick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(sick, "--fix", str(tmp_path / "fixed")) == 0
    info = soundfile.info(tmp_path / "fixed" / "target.wav")
    assert (info.channels, info.subtype) == (1, "FLOAT")
    capsys.readouterr()
    files = [str(tmp_path / "fixed" / name) for name in ("input.wav", "target.wav")]
    assert main(["inspect", *files, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [f["code"] for f in content["findings"]] == ["short"]


def test_silence_ends_inspect_and_train_with_the_code_of_a_recording(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = write_wav(tmp_path / "silent.wav", np.zeros(2 * RATE_HZ))
    assert main(["inspect", str(recordings / "dry.wav"), str(silent)]) == 3
    assert "STOP   silence" in capsys.readouterr().out
    arguments = [*folders(recordings, tmp_path), f"--data.target={silent}"]
    assert main(["train", "realtime", *TINY, *arguments]) == 3
    error = capsys.readouterr().err
    assert "silent.wav: silent" in error
    assert not (tmp_path / "best_model.pt").exists()


def test_train_says_what_the_doctor_repaired_and_trains_on_it(
    sick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "realtime", *TINY, *folders(sick, tmp_path)]) == 0
    streams = capsys.readouterr()
    assert "doctor: fixed  stereo" in streams.err
    assert "doctor: fixed  lag" in streams.err
    assert (tmp_path / "best_model.pt").is_file()


def test_split_to_the_end_of_the_file_is_cut_with_what_the_doctor_takes_off(
    sick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = 6 * RATE_HZ
    splits = ["--data.train=[0, 200000]", "--data.valid=[200000, 250000]"]
    words = ["train", "realtime", *TINY, *folders(sick, tmp_path), *splits]
    assert main([*words, f"--data.test=[250000, {frames}]"]) == 0
    assert "TEST ESR" in capsys.readouterr().out
    assert main([*words, f"--data.test=[250000, {frames + 1}]"]) == 3
    assert "data.test: found [250000, 288001]" in capsys.readouterr().err
    model, dry, wet = (
        str(p) for p in (tmp_path / "models/model.json", sick / "dry.wav", sick / "wet.wav")
    )
    assert main(["evaluate", model, dry, wet, "--end", str(frames)]) == 0
    assert main(["evaluate", model, dry, wet, "--end", str(frames + 1)]) == 3


def test_no_doctor_takes_the_files_as_they_are(
    sick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "realtime", *TINY, *folders(sick, tmp_path), "--no-doctor"]) == 3
    error = capsys.readouterr().err
    assert "found 2 channels, expected 1" in error
    assert "doctor" not in error


def test_training_keeps_the_findings_in_its_checkpoint_and_model(
    sick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "realtime", *TINY, *folders(sick, tmp_path)]) == 0
    kept = load_checkpoint(tmp_path / "best_model.pt").doctor
    assert kept is not None
    assert {f["code"] for f in kept["findings"]} == {"stereo", "lag", "short", "field"}
    assert str(sick) not in json.dumps(kept)
    training = json.loads((tmp_path / "models" / "model.json").read_text())["metadata"]["training"]
    assert [c["text"] for c in training["checks"]] == [f["text"] for f in kept["findings"]]
