"""The same model and the same input give the same sound, in the engine and everywhere else."""

import json

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from ampd import _engine
from tests.engine.conftest import CORPUS, MODELS, row_name, with_isas
from trainer.model_json import read_model
from trainer.networks import reference_forward

SHIPPED = ("ts9", "champ")


def nam_rows(with_golden: bool) -> list[dict[str, object]]:
    """Rows of the corpus that are NAM files; plain LSTMs are test_families.py's."""
    if not CORPUS.exists():
        return []
    rows = json.loads((CORPUS / "index.json").read_text())["models"]
    return [
        row
        for row in rows
        if row["family"] == "nam"
        and bool(row["golden"]) == with_golden
        and row["architecture"] != "LSTM"
    ]


ABSENT = pytest.mark.skip(reason="shared/model-corpus is absent")


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


@pytest.mark.long
@pytest.mark.parametrize("name", ["ts9", "champ"])
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


# 5e-5 and ESR 1e-8 are the distance of the references themselves from float64; a Linear is a long
# sum whose peak is far above 1. Where reference_vs_float64 is larger than that, the float64 is the
# trainer's, which plays otherwise than the golden's engine, NAM Core, and we follow Core: Linear
# files (order of the taps) and wavenet_a2_film_full and _chaos_stress (layer1x1_post_film).
@pytest.mark.parametrize(
    ("row", "isa"),
    with_isas(nam_rows(with_golden=True)) or [pytest.param({}, "", marks=ABSENT)],
)
def test_nam_files_of_the_corpus_match_their_goldens(row: dict[str, object], isa: str) -> None:
    signal, _ = soundfile.read(CORPUS / "golden" / "input.wav", dtype="float32")
    golden = np.load(CORPUS / str(row["golden"])).astype(np.float64)
    found = _engine.render_model(str(CORPUS / str(row["file"])), signal, isa=isa)
    if row["architecture"] == "Linear":
        assert relative_error(found, golden) <= 1e-5
    else:
        assert np.max(np.abs(found - golden)) <= 5e-5
        assert np.sum((found - golden) ** 2) / np.sum(golden**2) < 1e-8


@pytest.mark.parametrize(
    "row", nam_rows(with_golden=False) or [pytest.param({}, marks=ABSENT)], ids=row_name
)
def test_nam_files_without_a_golden_load_or_are_refused(row: dict[str, object]) -> None:
    path = str(CORPUS / str(row["file"]))
    try:
        found = _engine.render_model(path, np.zeros(64, np.float32))
    except _engine.LoadError as refusal:
        assert_one_sentence(path, refusal)
    else:
        assert np.all(np.isfinite(found))


def assert_one_sentence(path: str, refusal: Exception) -> None:
    text = str(refusal)
    assert text.startswith(f"{path}: ")
    assert text.endswith(".")
    assert "\n" not in text
