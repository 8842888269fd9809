"""The doctor on recordings of simulated gear: their first 30 s, so that it takes seconds.

Each fault on one of them, half a sample on all: one with the tests, the others with make
test-long; tests/bench/doctor_faults.py plants every fault on every one.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.bench.doctor_faults import OWN_LAG, disagreement, excerpt, findings
from tests.trainer.conftest import write_wav
from tests.trainer.planted import FAULTS, Take
from trainer.doctor.examine import examine

SECONDS = 30
HALF = "late by half a sample"
# The answer of a loudspeaker rises over ten frames: its beginning is a whole frame, the first
# above -30 dB, in which half a sample more does not show.
UNSEEN = ("ts9_bigchump_celestion", HALF)
SHORT = ("champ", HALF)
SPREAD = [([*OWN_LAG][number % len(OWN_LAG)], fault) for number, fault in enumerate(FAULTS)]


@pytest.fixture(scope="module")
def clean(captures: Path) -> Callable[[str], Take]:
    """The excerpt of a capture; each is read once."""
    return functools.cache(lambda name: excerpt(captures, name, SECONDS))


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == SHORT[0] else pytest.mark.long) for n in OWN_LAG],
)
def test_capture_has_its_lag_and_nothing_else(
    clean: Callable[[str], Take], tmp_path: Path, name: str
) -> None:
    found = [(f.code, f.size) for f in findings(tmp_path, clean(name))]
    assert found == ([("lag", OWN_LAG[name])] if OWN_LAG[name] else [])


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param(
            *planted,
            marks=[
                pytest.mark.xfail(
                    planted == UNSEEN, reason="a soft onset hides half a sample", strict=True
                ),
                *([] if planted == SHORT else [pytest.mark.long]),
            ],
        )
        for planted in sorted({*SPREAD, *((capture, HALF) for capture in OWN_LAG)})
    ],
)
def test_planted_fault_is_found_beside_the_own_lag(
    clean: Callable[[str], Take], tmp_path: Path, name: str, fault: str
) -> None:
    planted = FAULTS[fault].plant(*clean(name)[:2])
    assert disagreement(findings(tmp_path, planted), FAULTS[fault], name) == ""


def test_offset_that_the_pedal_makes_while_played_is_its_own(
    clean: Callable[[str], Take], tmp_path: Path
) -> None:
    take = clean("ts9")
    assert np.mean(take.wet) > 0.1 * np.std(take.wet)
    dry, wet = (
        write_wav(tmp_path / f"{n}.wav", s) for n, s in (("dry", take.dry), ("wet", take.wet))
    )
    recordings = examine(dry, wet).recordings
    assert recordings is not None
    assert recordings.target.double().mean() == pytest.approx(np.mean(take.wet))
