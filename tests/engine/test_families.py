"""Recurrent nets and the families beside NAM against the reference outputs of the model corpus."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ampd import _engine
from tests.engine.conftest import CORPUS, with_isas

# Absolute, as the references themselves support: the corpus's README, formats.md section 4.
TOLERANCE = {"nam": 1e-4, "rtneural": 2e-4, "agam": 2e-4, "pedalnet": 5e-5}
CHAOTIC_FRAMES = 2400  # 50 ms: until float32 and float64 part


def rows(golden: bool) -> list[dict[str, Any]]:
    if not CORPUS.exists():
        return []
    models = json.loads((CORPUS / "index.json").read_text())["models"]
    ours = [row for row in models if row["family"] != "nam" or row["architecture"] == "LSTM"]
    return [row for row in ours if bool(row["golden"]) == golden]


def name_of(row: dict[str, Any]) -> str:
    return Path(row["file"]).stem


def error_of(row: dict[str, Any], isa: str) -> float:
    """Largest difference from the golden over the frames that can be compared."""
    signal, _ = soundfile.read(CORPUS / "golden" / "input.wav", dtype="float32")
    golden: NDArray[np.float32] = np.load(CORPUS / row["golden"])
    frames = CHAOTIC_FRAMES if row["chaotic"] else len(golden)
    start = np.ascontiguousarray(signal[:frames], np.float32)
    found = _engine.render_model(str(CORPUS / row["file"]), start, isa=isa)
    return float(np.max(np.abs(found - golden[:frames])))


@pytest.mark.skipif(not CORPUS.exists(), reason="shared/model-corpus is absent")
def test_corpus_has_rows_of_every_family() -> None:
    assert {row["family"] for row in rows(golden=True)} == set(TOLERANCE)


@pytest.mark.parametrize(("row", "isa"), with_isas(rows(golden=True)))
def test_engine_equals_the_reference(row: dict[str, Any], isa: str) -> None:
    assert error_of(row, isa) <= TOLERANCE[row["family"]]


@pytest.mark.parametrize("row", rows(golden=False), ids=name_of)
def test_a_model_no_reference_plays_is_refused_in_one_sentence(row: dict[str, Any]) -> None:
    path = str(CORPUS / row["file"])
    with pytest.raises(_engine.LoadError) as refusal:
        _engine.inspect_model(path)
    text = str(refusal.value)
    assert text.startswith(path + ": ")
    assert text.endswith(".")
    assert "\n" not in text
