import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.trainer.test_cli import TINY, folders
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.cli import main
from trainer.closeness import Closeness
from trainer.report.verdict import judge

PICTURES = {
    "null-test",
    "waveform",
    "spectrum",
    "spectrogram",
    "passages",
    "aliasing",
    "training",
}
GEAR = "AC30 <top boost> & more"


def train(recordings: Path, run: Path, *more: str) -> int:
    quick = [option for option in TINY if option != "--no-report"]
    return main(["train", "realtime", *quick, *folders(recordings, run), *more])


@pytest.fixture(scope="module")
def run(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of thirty steps with its report."""
    folder = tmp_path_factory.mktemp("run")
    assert train(recordings, folder, f"--model.gear_model={GEAR}") == 0
    return folder


def figures(run: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((run / "report" / "figures.json").read_text())
    return content


def test_page_holds_its_pictures_and_asks_nothing_of_the_network(run: Path) -> None:
    page = (run / "report" / "index.html").read_text()
    assert (
        set(re.findall(r'<img alt="([a-z-]+)" src="data:image/png;base64,iVBOR', page)) == PICTURES
    )
    assert {p.stem for p in (run / "report").glob("*.png")} == PICTURES
    links = re.findall(r'(?:src|href)="([^"]{1,80})', page)
    assert {link for link in links if not link.startswith("data:")} == {
        "gear.flac",
        "model.flac",
        "null-test.wav",
    }


def test_page_says_what_was_found_where_it_comes_from_and_no_folder(
    run: Path, recordings: Path
) -> None:
    page, checkpoint = (
        (run / "report" / "index.html").read_text(),
        load_checkpoint(run / "best_model.pt"),
    )
    assert "AC30 &lt;top boost&gt; &amp; more" in page
    assert "<top" not in page
    assert all(value in page for value in checkpoint.data_sha256.values())
    assert checkpoint.doctor is not None
    assert all(f"<code>{f['code']}</code>" in page for f in checkpoint.doctor["findings"])
    assert "segment_frames: 256" in page
    assert str(recordings) not in page


def test_figures_are_those_of_the_checkpoint(run: Path) -> None:
    checkpoint, found = load_checkpoint(run / "best_model.pt"), figures(run)
    # The report plays in float32: 1e-6 of peak beside an error of a tenth of it.
    for name, expected in (("test", checkpoint.esr_test), ("valid", checkpoint.esr_valid)):
        split = found[name]
        assert isinstance(split, dict)
        assert split["esr"] == pytest.approx(expected, rel=1e-4)
    aliasing = found["aliasing_db"]
    assert isinstance(aliasing, dict)
    assert [*aliasing] == ["1250", "2499", "4999"]


def test_null_test_is_the_gear_without_the_model(run: Path, recordings: Path) -> None:
    sounds = {p.name: soundfile.read(p)[0] for p in (run / "report").glob("*.[fw][la][av]*")}
    wet = soundfile.read(recordings / "wet.wav")[0]
    gear, rest = sounds["gear.flac"], sounds["null-test.wav"]
    assert soundfile.info(run / "report" / "null-test.wav").subtype == "FLOAT"
    assert np.abs(gear - wet[len(wet) * 9 // 10 :]).max() <= 2**-23  # 24 bit
    assert np.abs(gear - sounds["model.flac"] - rest).max() <= 2**-22


def test_report_is_made_again_from_the_checkpoint(
    run: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = figures(run)
    (run / "report" / "index.html").unlink()
    capsys.readouterr()
    assert main(["report", str(run), "--data", str(recordings)]) == 0
    assert capsys.readouterr().out == f"wrote {run / 'report' / 'index.html'}\n"
    assert (run / "report" / "index.html").is_file()
    assert figures(run) == before


def test_recordings_that_are_gone_or_others_are_refused(
    run: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = load_checkpoint(run / "best_model.pt")
    paths = dataclasses.replace(checkpoint.recipe.paths, data=str(tmp_path))
    moved = dataclasses.replace(checkpoint.recipe, paths=paths)
    save_checkpoint(dataclasses.replace(checkpoint, recipe=moved), tmp_path / "best_model.pt")
    assert main(["report", str(tmp_path)]) == 3
    assert "no such file, expected the input" in capsys.readouterr().err
    (tmp_path / "dry.wav").write_bytes((recordings / "wet.wav").read_bytes())
    assert main(["report", str(tmp_path)]) == 3
    assert "SHA-256 differs" in capsys.readouterr().err


def test_failed_report_costs_no_model_and_says_the_way(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report").write_text("a file where the folder would be")
    assert train(recordings, tmp_path, "--no-doctor") == 0
    assert (tmp_path / "models" / "model.json").is_file()
    error = capsys.readouterr().err
    assert f"`ampd-train report {tmp_path}` makes the report" in error
    assert "cannot be written" in error


def close(esr: float) -> Closeness:
    return Closeness(1, esr, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("esr", "grade", "words"),
    [
        (0.001, "great", "30 dB quieter than the sound itself"),
        (0.02, "good", "17 dB quieter"),
        (0.05, "fair", "not all of its detail"),
        (0.2, "poor", "only a relative"),
        (0.8, "wrong", "not aligned"),
    ],
)
def test_verdict_has_the_steps_of_nam(esr: float, grade: str, words: str) -> None:
    found = judge([close(esr)], None, set())
    assert found.grade == grade
    assert words in found.sentence


def test_advice_names_what_limits_the_model() -> None:
    assert judge([close(0.001)], None, set()).advice == ()
    there = judge([close(0.001)], 0.0012, set()).advice[0]
    assert "difference of -29 dB" in there
    assert there.endswith("than -32 dB: this one is there.")
    assert judge([close(0.01)], 0.0012, set()).advice[0].endswith("-32 dB.")
    assert "6 dB worse than VALID" in judge([close(0.04), close(0.01)], None, set()).advice[0]
    assert "longer dilations" in judge([close(0.05)], None, {"field"}).advice[0]
    assert judge([close(0.05)], None, set()).advice == (
        "Give it more --minutes, or a recipe with more channels.",
    )
