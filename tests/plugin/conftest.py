"""The built plugin, a guitar, and the daemon's own render to compare with."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.demo import guitar as part
from tests.plugin import hosts

Signal = NDArray[np.float32]


def _need(there: bool, what: str) -> None:
    if not there:
        pytest.skip(f"{what}; make test-plugin brings it")


@pytest.fixture(scope="session")
def vst3() -> Path:
    """The VST3 bundle."""
    _need(hosts.VST3.is_dir(), f"{hosts.VST3} is not built")
    return hosts.VST3


@pytest.fixture(scope="session")
def lv2() -> Path:
    """The LV2 bundle."""
    _need(hosts.LV2.is_dir(), f"{hosts.LV2} is not built")
    return hosts.LV2


@pytest.fixture(scope="session")
def standalone() -> Path:
    """The program."""
    _need(hosts.STANDALONE.is_file(), f"{hosts.STANDALONE} is not built")
    return hosts.STANDALONE


@pytest.fixture
def load(vst3: Path) -> Callable[[], hosts.Vst3]:
    """A new instance in pedalboard, whenever it is called."""
    pytest.importorskip("pedalboard", reason="pedalboard is absent; make test-plugin brings it")
    return lambda: hosts.load(vst3)


@pytest.fixture
def tool() -> Callable[[str], str]:
    """The path of a program of the system."""

    def find(name: str) -> str:
        found = shutil.which(name, path=f"/usr/lib/ardour7:{hosts.SEARCH}")
        _need(found is not None, f"{name} is absent")
        assert found is not None
        return found

    return find


@pytest.fixture(scope="session")
def guitar() -> Signal:
    """A second of the project's own guitar part, 48 kHz; to be taken for samples at any rate."""
    return np.ascontiguousarray(part.make()[48000 : 2 * 48000], np.float32)
