import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.conftest import gear, make_net, write_wav
from trainer.cli import main
from trainer.errors import DataError
from trainer.evaluate import as_json, as_row, evaluate
from trainer.model_json import build_model, write_model
from trainer.networks import reference_forward
from trainer.signals import riff

RATE_HZ = 48000
DRY = riff(0.5, RATE_HZ).astype(np.float32).astype(np.float64)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with m.json, dry.wav, and wet.wav = what the model says, plus known noise."""
    net = make_net()
    write_model(build_model(net, RATE_HZ, {}), tmp_path / "m.json")
    answer = reference_forward(net, torch.from_numpy(DRY)).numpy()
    write_wav(tmp_path / "dry.wav", DRY)
    write_wav(tmp_path / "exact.wav", answer, subtype="DOUBLE")
    noise = np.random.default_rng(2).normal(size=len(DRY)) * 0.01
    write_wav(tmp_path / "wet.wav", answer + noise)
    return tmp_path


def test_recording_of_the_model_itself_has_no_error(place: Path) -> None:
    figures = evaluate(place / "m.json", place / "dry.wav", place / "exact.wav")
    assert figures.esr <= 1e-13  # the recording is rounded to float32: (6e-8)^2 and less
    assert figures.frames == len(DRY)


def test_figures_equal_their_formulas(place: Path) -> None:
    figures = evaluate(place / "m.json", place / "dry.wav", place / "wet.wav", 5000, 5050)
    answer = reference_forward(make_net(), torch.from_numpy(DRY)).numpy()[5000:5050]
    wet = (
        reference_forward(make_net(), torch.from_numpy(DRY)).numpy()
        + np.random.default_rng(2).normal(size=len(DRY)) * 0.01
    )[5000:5050]
    expected = ((answer - wet) ** 2).sum() / (wet**2).sum()
    # Few frames, so that a missing history would show.  The recording is rounded to float32.
    assert figures.esr == pytest.approx(expected, rel=1e-5)
    assert figures.esr_db == pytest.approx(10 * np.log10(expected), abs=1e-4)
    assert figures.peak_error == pytest.approx(np.abs(answer - wet).max(), rel=1e-5)
    assert figures.receptive_field_frames == 15
    assert figures.latency_frames == 0


def test_centred_net_reports_its_look_ahead_as_latency(place: Path) -> None:
    write_model(build_model(make_net(causal=False), RATE_HZ, {}), place / "m.json")
    figures = evaluate(place / "m.json", place / "dry.wav", place / "wet.wav")
    assert figures.latency_frames == 7


def test_row_and_json_show_the_same_figures(place: Path) -> None:
    figures = evaluate(place / "m.json", place / "dry.wav", place / "wet.wav")
    head, _, row = as_row(figures).splitlines()
    cells = dict(
        zip(
            (c.strip() for c in head.strip("|").split("|")),
            (c.strip() for c in row.strip("|").split("|")),
            strict=True,
        )
    )
    plain = json.loads(as_json(figures))
    assert set(cells) == set(plain)
    assert float(cells["esr"]) == pytest.approx(plain["esr"], rel=0.005)  # three digits


def test_rate_that_is_not_the_models_is_refused(place: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_wav(place / name, DRY, rate_hz=44100)
    with pytest.raises(DataError, match="found 44100 Hz, expected the 48000 Hz"):
        evaluate(place / "m.json", place / "a.wav", place / "b.wav")


@pytest.mark.parametrize(("start", "end"), [(-1, None), (0, 10**9), (10, 10), (10**9, None)])
def test_span_outside_the_recording_is_refused(place: Path, start: int, end: int | None) -> None:
    with pytest.raises(DataError, match="0 <= start < end <= 24000"):
        evaluate(place / "m.json", place / "dry.wav", place / "wet.wav", start, end)


def test_silent_recording_is_refused(place: Path) -> None:
    write_wav(place / "wet.wav", np.zeros(len(DRY)))
    with pytest.raises(DataError, match="silence"):
        evaluate(place / "m.json", place / "dry.wav", place / "wet.wav")


def test_doctor_brings_a_sick_pair_to_the_figures_of_the_healthy_one(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blips = np.zeros(2 * RATE_HZ)
    blips[[RATE_HZ // 2, 3 * RATE_HZ // 2]] = 0.3
    dry = np.concatenate([blips, riff(3.0, RATE_HZ)])
    wet = gear(dry)
    late = np.concatenate([np.zeros(500), wet])[: len(wet)]
    files = {"dry": dry, "wet": wet, "sick": np.stack([late, late], 1)}
    for name, samples in files.items():
        write_wav(place / f"{name}.wav", samples)
    span = ["--start", str(2 * RATE_HZ), "--end", str(4 * RATE_HZ), "--json"]

    def figures(target: str, *options: str) -> dict[str, object]:
        argv = ["evaluate", *(str(place / name) for name in ("m.json", "dry.wav", target))]
        assert main([*argv, *span, *options]) == 0
        plain: dict[str, object] = json.loads(capsys.readouterr().out)
        return plain

    assert figures("sick.wav") == figures("wet.wav", "--no-doctor")
    argv = ["evaluate", *(str(place / name) for name in ("m.json", "dry.wav", "sick.wav"))]
    assert main([*argv, "--no-doctor"]) == 3
    assert "found 2 channels" in capsys.readouterr().err
