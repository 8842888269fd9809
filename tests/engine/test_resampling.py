"""Models of another rate than the host's, held against a perfect resample of what they give at
their own. The sines and the latency alone are in resampled_test.cpp."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ampd import _engine
from tests.bench.resampling import (
    GUITAR_HZ,
    HOST_RATES_HZ,
    LIMIT_DB,
    LIMIT_MS,
    MODEL_RATES_HZ,
    at_rate,
    compare,
    guitar_with_silence,
    latency_frames,
    resample,
    straight_wire,
    white,
)
from tests.engine.conftest import MODELS

PAIRS = [(host, model) for host in HOST_RATES_HZ for model in MODEL_RATES_HZ if host != model]


@pytest.mark.parametrize(("host_hz", "model_hz"), PAIRS)
def test_amp_of_another_rate_is_within_80_db_of_a_perfect_resample(
    guitar: NDArray[np.float32], tmp_path: Path, host_hz: int, model_hz: int
) -> None:
    model = at_rate(MODELS / "champ" / "champ.json", model_hz, tmp_path)
    sound = guitar_with_silence(guitar[: GUITAR_HZ // 2])
    assert compare(model, model_hz, host_hz, sound) <= LIMIT_DB
    assert 0 < latency_frames(model, host_hz) <= LIMIT_MS * host_hz / 1000


@pytest.mark.parametrize("host_hz", [44100, 96000])
def test_captured_guitar_through_the_shipped_models(
    captured_di: NDArray[np.float32], tmp_path: Path, host_hz: int
) -> None:
    sound = guitar_with_silence(captured_di[4 * GUITAR_HZ : 6 * GUITAR_HZ])
    for name in ("champ", "ts9"):
        model = str(MODELS / name / f"{name}.json")
        assert compare(model, GUITAR_HZ, host_hz, sound) <= LIMIT_DB


@pytest.mark.parametrize(("host_hz", "model_hz"), PAIRS)
def test_noise_up_to_18_khz_passes_a_straight_wire(
    tmp_path: Path, host_hz: int, model_hz: int
) -> None:
    assert compare(straight_wire(model_hz, tmp_path), model_hz, host_hz, white()) <= LIMIT_DB


@pytest.mark.parametrize("block_frames", [1, 7, 64, 4096])
def test_bare_model_is_as_long_as_its_input_and_lies_on_it(
    tmp_path: Path, block_frames: int
) -> None:
    wire = straight_wire(48000, tmp_path)
    signal = resample(white(), GUITAR_HZ, 44100).astype(np.float32)
    found = _engine.render_model(wire, signal, block_frames, sample_rate_hz=44100)
    assert len(found) == len(signal)
    assert np.max(np.abs(found - signal)) <= 1e-4 * np.max(np.abs(signal))


def test_bare_model_takes_samples_as_they_are_without_a_rate(tmp_path: Path) -> None:
    signal = white()[:1000].astype(np.float32)
    assert np.array_equal(_engine.render_model(straight_wire(44100, tmp_path), signal), signal)


# 1e-10: what float64 leaves of a Fourier series of this length.
def test_the_perfect_resampler_gives_a_sine_back() -> None:
    turns = 2 * np.pi * 1000 * np.arange(4800) / 48000
    at_441 = 2 * np.pi * 1000 * np.arange(4410) / 44100
    assert np.max(np.abs(resample(np.sin(turns), 48000, 44100) - np.sin(at_441))) <= 1e-10
