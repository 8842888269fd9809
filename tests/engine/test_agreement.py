"""The same model and the same input give the same sound, in the engine and everywhere else."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from ampd import _engine
from tests.engine.conftest import MODELS, SHARED
from trainer.model_json import read_model
from trainer.networks import reference_forward

SHIPPED = ("ts9", "champ")
CORPUS = SHARED / "model-corpus"


def a1_goldens() -> list[str]:
    """Corpus rows of the NAM A1 form that have a golden: two widths, Tanh, ungated."""
    if not CORPUS.exists():
        return []
    rows = json.loads((CORPUS / "index.json").read_text())["models"]
    return [
        row["file"]
        for row in rows
        if row["architecture"] == "WaveNet" and row["golden"] and is_a1(CORPUS / row["file"])
    ]


def is_a1(path: Path) -> bool:
    config = json.loads(path.read_text())["config"]
    newer = ("head1x1", "gating_mode", "kernel_sizes", "bottleneck", "head")
    return not config.get("condition_dsp") and all(
        layer.get("activation") == "Tanh"
        and not layer.get("gated")
        and not any(layer.get(key) for key in newer)
        for layer in config["layers"]
    )


def relative_error(found: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    """Largest difference over the peak of what was expected."""
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


def truth(name: str, signal: NDArray[np.float32]) -> NDArray[np.float64]:
    """The trainer's float64 forward, silence before the signal."""
    net = read_model(MODELS / name / f"{name}.json").net
    return reference_forward(net, torch.from_numpy(signal)).numpy()


# 2e-6: ten layers of float32 sums, each good to about 1e-7 of peak.
@pytest.mark.parametrize("name", SHIPPED)
def test_engine_equals_the_trainers_float64_forward_at_any_block_length(
    name: str, guitar: NDArray[np.float32]
) -> None:
    path = str(MODELS / name / f"{name}.json")
    expected = truth(name, guitar)
    outputs = [_engine.render_model(path, guitar, block) for block in (1, 7, 64, 4096)]
    assert relative_error(outputs[0], expected) <= 2e-6
    for other in outputs[1:]:
        np.testing.assert_array_equal(other, outputs[0])


@pytest.mark.parametrize("name", SHIPPED)
def test_engine_equals_the_trainer_on_the_whole_test_take(
    name: str, captured_di: NDArray[np.float32]
) -> None:
    path = str(MODELS / name / f"{name}.json")
    expected = truth(name, captured_di)
    for block in (1, 7, 64, 4096):
        assert relative_error(_engine.render_model(path, captured_di, block), expected) <= 2e-6


@pytest.mark.parametrize("isa", _engine.isas())
@pytest.mark.parametrize("name", SHIPPED)
def test_every_instruction_set_gives_the_same_sound(
    name: str, isa: str, guitar: NDArray[np.float32]
) -> None:
    short = guitar[:48000]
    found = _engine.render_model(str(MODELS / name / f"{name}.json"), short, 64, isa)
    assert relative_error(found, truth(name, short)) <= 2e-6


# 5e-6: the universal form scales the direct path down by 2^-11 and up again, in float32.
@pytest.mark.parametrize("name", SHIPPED)
def test_the_nam_file_sounds_like_the_json_file(name: str, guitar: NDArray[np.float32]) -> None:
    json_sound = _engine.render_model(str(MODELS / name / f"{name}.json"), guitar)
    nam_sound = _engine.render_model(str(MODELS / name / f"{name}.nam"), guitar)
    assert relative_error(nam_sound, json_sound.astype(np.float64)) <= 5e-6


# 5e-5 and ESR 1e-8 are the distance of the references themselves from float64.
@pytest.mark.parametrize("file", a1_goldens() or [pytest.param("", id="none")])
def test_a1_models_of_the_corpus_match_their_goldens(file: str) -> None:
    if not file:
        pytest.skip("shared/model-corpus is absent")
    signal, _ = soundfile.read(CORPUS / "golden" / "input.wav", dtype="float32")
    golden = np.load(CORPUS / "golden" / f"{Path(file).name}.npy").astype(np.float64)
    found = _engine.render_model(str(CORPUS / file), signal)
    assert np.max(np.abs(found - golden)) <= 5e-5
    assert np.sum((found - golden) ** 2) / np.sum(golden**2) < 1e-8


def test_hostile_files_of_the_corpus_are_refused_in_one_sentence() -> None:
    if not CORPUS.exists():
        pytest.skip("shared/model-corpus is absent")
    rows = json.loads((CORPUS / "hostile" / "index.json").read_text())
    for row in rows:
        path = CORPUS / "hostile" / row["file"]
        if row["expect"] != "reject" or path.suffix == ".gz":
            continue
        with pytest.raises(_engine.LoadError) as refusal:
            _engine.inspect_model(str(path))
        assert str(refusal.value).startswith(f"{path}: "), row["file"]
        assert str(refusal.value).endswith("."), row["file"]
