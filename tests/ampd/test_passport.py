"""What a file is: the facts of a passport against plain computations, and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest

from ampd.errors import AmpdError
from ampd.library import Library
from ampd.passport import Bad, ModelPassport, RigPassport, check, check_all
from ampd.probe import PEAK, SECONDS, guitar_signal, loudness_dbfs
from tests.ampd.conftest import forward, model


def passport(path: Path, library: Library) -> ModelPassport:
    found = check(path, library, 48000, with_cost=False)
    assert isinstance(found, ModelPassport)
    return found


def test_models_passport_tells_its_size_field_and_rate(library: Library) -> None:
    found = passport(library.find_model("tiny"), library)
    assert (found.family, found.architecture, found.name) == ("ampd", "residual_wavenet", "tiny")
    assert (found.weights, found.receptive_field_frames) == (49, 15)
    assert (found.sample_rate_hz, found.sample_rate_stated) == (48000, True)
    assert (found.latency_frames, found.latency_ms) == (0, 0.0)
    assert found.memory_bytes > 49 * 4


def test_measured_loudness_is_the_rms_of_the_models_own_float64_answer(library: Library) -> None:
    document = model()
    tensors = {name: np.array(value) for name, value in document["tensors"].items()}
    sound = forward(tensors, document["dilations"], guitar_signal(48000).astype(np.float64))
    rms = np.sqrt(np.mean((sound - sound.mean()) ** 2))
    measured = passport(library.find_model("tiny"), library).loudness_measured_dbfs
    assert measured == pytest.approx(20 * np.log10(rms), abs=0.006)  # it has two decimals


@pytest.mark.parametrize(("claim", "told"), [(-18.25, -18.25), ("loud", None), (None, None)])
def test_claimed_loudness_is_the_files_own_where_it_is_a_number(
    library: Library, tmp_path: Path, claim: object, told: float | None
) -> None:
    document = model()
    document["metadata"]["loudness"] = claim
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(document))
    assert passport(path, library).loudness_file_db == told


def test_loudness_leaves_direct_current_out() -> None:
    wave = 0.1 * np.sin(2 * np.pi * np.arange(48000) / 48)
    expected = 20 * np.log10(0.1 / np.sqrt(2))
    assert loudness_dbfs((wave + 0.5).astype(np.float32)) == pytest.approx(expected, abs=1e-3)
    assert loudness_dbfs(np.full(100, 0.5, np.float32)) == -200.0


@pytest.mark.parametrize("rate_hz", [8000, 44100, 96000])
def test_guitar_that_asks_is_the_same_at_every_rate(rate_hz: int) -> None:
    signal, usual = guitar_signal(rate_hz), guitar_signal(48000)
    assert len(signal) == SECONDS * rate_hz
    assert np.max(np.abs(signal)) == pytest.approx(PEAK)
    # The peak, which sets the level, falls between samples of one rate and on one of the other.
    assert loudness_dbfs(signal) == pytest.approx(loudness_dbfs(usual), abs=0.15)


def test_rigs_passport_tells_its_blocks_as_built(library: Library) -> None:
    found = check(library.rigs_path / "drive.yaml", library, 48000, with_cost=False)
    assert isinstance(found, RigPassport)
    assert found.blocks == ["amp tiny"]
    assert found.memory_bytes > 0


def test_check_goes_on_behind_a_bad_file(library: Library, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[osc]\nport = 0.5\n")
    typo = library.rigs_path / "typo.yaml"
    typo.write_text("chain: [{gain: {gian_db: 1}}]")
    files = [bad, typo, tmp_path / "gone.nam", library.find_model("tiny")]
    rows = list(check_all(files, library, 48000, with_cost=False))
    assert [row.ok for row in rows] == [False, False, False, True]
    for row, words in zip(rows, ("[osc] port is 0.5", "gian_db", "gone.nam"), strict=False):
        assert isinstance(row, Bad)
        assert words in row.error


def test_check_refuses_a_folder_in_a_sentence(library: Library) -> None:
    with pytest.raises(AmpdError, match="no such file"):
        check(library.models_path, library, 48000, with_cost=False)


def test_model_of_an_unsaid_rate_says_so(library: Library, tmp_path: Path) -> None:
    nam = {
        "version": "0.5.4",
        "architecture": "Linear",
        "config": {"receptive_field": 2, "bias": False},
        "weights": [1.0, 0.5],
    }
    path = tmp_path / "linear.nam"
    path.write_text(json.dumps(nam))
    found = passport(path, library)
    assert (found.sample_rate_hz, found.sample_rate_stated) == (48000, False)
