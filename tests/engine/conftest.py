"""Sound and models for the engine's Python tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ampd import _engine
from tests.demo.guitar import make

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
CORPUS = SHARED / "model-corpus"
LARGE_BYTES = 50_000  # of a model's file
MODELS = ROOT / "models"
TEST_START, TEST_STOP = 12342401, 13201483  # the TEST split of ../shared/captures/README.md


@pytest.fixture(scope="session")
def guitar() -> NDArray[np.float32]:
    """Six seconds of the project's own guitar part, 48 kHz."""
    return np.ascontiguousarray(make()[: 6 * 48000], np.float32)


@pytest.fixture(scope="session")
def captured_di() -> NDArray[np.float32]:
    """The DI from four seconds before the TEST take to its end, 48 kHz."""
    path = SHARED / "captures" / "di.flac"
    if not path.exists():
        pytest.skip("shared/captures is absent")
    signal, _ = soundfile.read(path, dtype="float32", start=TEST_START - 4 * 48000, stop=TEST_STOP)
    return np.ascontiguousarray(signal)


def row_name(row: Mapping[str, Any]) -> str:
    return Path(row["file"]).name


def with_isas(rows: Sequence[Mapping[str, Any]]) -> list[object]:
    """Each row of the corpus with each instruction set; large nets without the best are for
    make test-long."""
    return [
        pytest.param(
            row,
            isa,
            id=f"{row_name(row)}-{isa}",
            marks=pytest.mark.long if isa != _engine.isas()[-1] and is_large(row) else (),
        )
        for row in rows
        for isa in _engine.isas()
    ]


def is_large(row: Mapping[str, Any]) -> bool:
    size: int = (CORPUS / row["file"]).stat().st_size
    return size > LARGE_BYTES
