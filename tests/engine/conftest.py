"""Sound and models for the engine's Python tests."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.demo.guitar import make

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
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
