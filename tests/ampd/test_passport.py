"""What a file is: the facts of a passport against plain computations, and refusals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ampd.errors import AmpdError
from ampd.library import Library
from ampd.passport import Bad, ModelPassport, RigPassport, check, check_all
from ampd.passports import Store, fingerprint
from ampd.probe import examination_signal, guitar_signal, loudness_lufs, read_answer
from ampd.rack import render_model
from tests.ampd.conftest import forward, model


def passport(path: Path, library: Library) -> ModelPassport:
    found = check(path, library, 48000, with_cost=False)
    assert isinstance(found, ModelPassport)
    return found


def linear(path: Path, taps: list[float], **metadata: float) -> Path:
    """A NAM file that is an impulse response, and says no rate."""
    nam = {
        "version": "0.5.4",
        "architecture": "Linear",
        "config": {"receptive_field": len(taps), "bias": False},
        "weights": taps,
        "metadata": metadata,
    }
    path.write_text(json.dumps(nam))
    return path


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


def test_answer_is_read_as_that_of_the_models_own_float64(library: Library) -> None:
    document = model()
    tensors = {name: np.array(value) for name, value in document["tensors"].items()}
    asked = examination_signal(48000).astype(np.float64)
    sound = forward(tensors, document["dilations"], asked)
    expected = read_answer(sound.astype(np.float32), 48000)
    found = passport(library.find_model("tiny"), library)
    assert found.loudness_lufs == pytest.approx(expected.loudness_lufs, abs=0.006)  # two decimals
    assert found.dc_dbfs == pytest.approx(expected.dc_dbfs, abs=0.006)
    assert found.noise_dbfs < -140.0  # a net without memory of its own is still
    assert (found.polarity, found.click_latency_frames) == (expected.polarity, 0)


def test_capture_that_is_late_and_upside_down_is_told_so(library: Library, tmp_path: Path) -> None:
    path = linear(tmp_path / "late.nam", [0.0] * 20 + [-0.5])
    found = passport(path, library)
    assert (found.polarity, found.click_latency_frames) == (-1, 20)
    assert (found.latency_frames, found.dc_dbfs, found.noise_dbfs) == (0, -200.0, -200.0)


def test_levels_of_the_capture_are_told_as_the_file_claims_them(
    library: Library, tmp_path: Path
) -> None:
    path = linear(tmp_path / "levels.nam", [1.0], input_level_dbu=18.3)
    found = passport(path, library)
    assert (found.input_level_dbu, found.output_level_dbu) == (18.3, None)


def test_model_is_examined_once_whatever_its_name_and_anew_when_it_changes(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def counted(path: str, *arguments: Any) -> Any:
        tries.append(path)
        return render_model(path, *arguments)

    monkeypatch.setattr("ampd.passport.render_model", counted)
    one, two = tmp_path / "one.nam", tmp_path / "two.nam"
    linear(one, [0.5])
    two.write_bytes(one.read_bytes())
    first, second = (check(path, library, 48000, False, Store(tmp_path)) for path in (one, two))
    assert tries == [str(one)]
    assert isinstance(first, ModelPassport)
    assert isinstance(second, ModelPassport)
    assert first.loudness_lufs == second.loudness_lufs
    linear(two, [0.25])
    third = check(two, library, 48000, False, Store(tmp_path))
    assert isinstance(third, ModelPassport)
    assert len(tries) == 2
    # half of it: 6.02 dB; both are told with two decimals
    assert first.loudness_lufs - third.loudness_lufs == pytest.approx(6.02, abs=0.011)


def test_cost_is_kept_when_it_is_measured(library: Library, tmp_path: Path) -> None:
    path, store = library.find_model("tiny"), Store(tmp_path)
    check(path, library, 48000, False, store)
    kept = store.passport(fingerprint(path))
    assert kept is not None
    assert kept.cost is None
    check(path, library, 48000, True, store)
    kept = Store(tmp_path).passport(fingerprint(path))
    assert kept is not None
    assert kept.cost is not None
    assert kept.cost.ns_per_sample > 0


@pytest.mark.parametrize(("claim", "told"), [(-18.25, -18.25), ("loud", None), (None, None)])
def test_claimed_loudness_is_the_files_own_where_it_is_a_number(
    library: Library, tmp_path: Path, claim: object, told: float | None
) -> None:
    document = model()
    document["metadata"]["loudness"] = claim
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(document))
    assert passport(path, library).loudness_file_db == told


def test_rigs_passport_tells_its_blocks_as_built(library: Library) -> None:
    found = check(library.rigs_path / "drive.yaml", library, 48000, with_cost=False)
    assert isinstance(found, RigPassport)
    assert found.blocks == ["amp tiny"]
    # This rig turns the model's answer by +6 dB at its input and -3 dB at its output.
    tensors = {name: np.array(value) for name, value in model()["tensors"].items()}
    driven = 10 ** (6 / 20) * guitar_signal(48000).astype(np.float64)
    sound = 10 ** (-3 / 20) * forward(tensors, model()["dilations"], driven)
    assert found.loudness_lufs == pytest.approx(loudness_lufs(sound, 48000), abs=0.006)
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
    found = passport(linear(tmp_path / "linear.nam", [1.0, 0.5]), library)
    assert (found.sample_rate_hz, found.sample_rate_stated) == (48000, False)
