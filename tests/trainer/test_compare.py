import json
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.conftest import RATE_HZ, gear, write_wav
from trainer.cli import main
from trainer.closeness import measure
from trainer.signals import riff

PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a target, and a prediction that is three frames late and 1 % too quiet."""
    folder = tmp_path_factory.mktemp("pair")
    target = gear(riff(1.5, RATE_HZ))
    write_wav(folder / "target.wav", target)
    write_wav(folder / "late.wav", 0.99 * np.concatenate([np.zeros(3), target]))
    write_wav(folder / "quiet.wav", 0.99 * target)
    write_wav(folder / "silent.wav", 0 * target)
    write_wav(folder / "slow.wav", target, 44100)
    return folder


def compare(place: Path, *words: str) -> int:
    return main(["compare", *(str(place / w) if w[0] != "-" else w for w in words)])


def test_figures_are_printed_and_a_delay_is_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(place, "target.wav", "quiet.wav") == 0
    output = capsys.readouterr()
    assert "ESR                 0.0001  (-40.0 dB)" in output.out
    assert "note" not in output.out + output.err
    assert compare(place, "target.wav", "late.wav") == 0
    output = capsys.readouterr()
    assert "note: PRED is 3.0 frames late" in output.out
    assert "note: 72000 and 72003 frames; the first 72000 are compared" in output.err


def test_json_has_every_figure(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(place, "target.wav", "late.wav", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    target = gear(riff(1.5, RATE_HZ)).astype(np.float32).astype(np.float64)
    late = (0.99 * np.concatenate([np.zeros(3), target]))[: len(target)]
    for key, value in vars(measure(target, late, RATE_HZ)).items():
        assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-9)


def test_short_files_have_no_spectral_distance_and_valid_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, riff(0.02, RATE_HZ))
    assert main(["compare", str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mrstft"] is None


def test_picture_is_written_and_without_a_display_the_way_to_it_is_said(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(key, raising=False)
    assert compare(place, "target.wav", "late.wav", "-p", "-o", "out.png") == 0
    assert (place / "out.png").read_bytes().startswith(PNG)
    assert "no display here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("target.wav", "slow.wav"), "found 44100 Hz, expected the 48000 Hz"),
        (("silent.wav", "target.wav"), "found silence"),
        (("target.wav", "none.wav"), "no such file"),
        (("target.wav", "quiet.wav", "-o", "out.pdf"), "expected a picture's: .png"),
    ],
)
def test_impossible_comparison_is_refused_in_words(
    place: Path, words: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(place, *words) == 3
    assert text in capsys.readouterr().err
