"""The doctor on recordings of simulated gear: their first 40 s, so that it takes seconds."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.trainer.conftest import write_wav
from tests.trainer.planted import FAULTS, RATE_HZ, Take
from trainer.doctor.examine import Diagnosis, examine

EXCERPT_FRAMES = 40 * RATE_HZ
OWN_LAG = {"ts9": 0.0, "champ": 0.0, "ts9_bigchump_celestion": 61.0}


def excerpt(captures: Path, name: str) -> Take:
    dry, wet = (
        soundfile.read(captures / f"{file}.flac", frames=EXCERPT_FRAMES)[0] for file in ("di", name)
    )
    return Take(dry, wet)


def diagnose(folder: Path, take: Take) -> Diagnosis:
    dry = write_wav(folder / "dry.wav", take.dry)
    return examine(dry, write_wav(folder / "wet.wav", take.wet, take.wet_rate_hz))


@pytest.mark.parametrize("name", OWN_LAG)
def test_capture_has_its_lag_and_nothing_else(captures: Path, tmp_path: Path, name: str) -> None:
    found = [(f.code, f.size) for f in diagnose(tmp_path, excerpt(captures, name)).findings]
    assert found == ([("lag", OWN_LAG[name])] if OWN_LAG[name] else [])


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("ts9", "late by half a sample"),
        ("champ", "late by half a sample"),
        ("champ", "inverted"),
        ("champ", "drift 20 ppm"),
        ("champ", "noise"),
        ("ts9", "offset"),
        ("ts9", "44.1 kHz"),
        ("ts9_bigchump_celestion", "late by 1"),
        ("ts9_bigchump_celestion", "gate"),
        ("ts9_bigchump_celestion", "echo"),
        ("ts9_bigchump_celestion", "swapped"),
    ],
)
def test_planted_fault_is_found_beside_the_own_lag(
    captures: Path, tmp_path: Path, name: str, fault: str
) -> None:
    clean = excerpt(captures, name)
    planted = FAULTS[fault]
    found = {f.code: f.size for f in diagnose(tmp_path, planted.plant(*clean[:2])).findings}
    own = {"lag"} if OWN_LAG[name] and fault != "swapped" else set()
    assert set(found) == {planted.code} | own
    if planted.size is not None:
        wanted = planted.size + (OWN_LAG[name] if planted.code == "lag" else 0)
        assert found[planted.code] == pytest.approx(wanted, rel=1e-6, abs=planted.within)


def test_offset_that_the_pedal_makes_while_played_is_its_own(
    captures: Path, tmp_path: Path
) -> None:
    take = excerpt(captures, "ts9")
    assert np.mean(take.wet) > 0.1 * np.std(take.wet)
    diagnosis = diagnose(tmp_path, take)
    assert diagnosis.recordings is not None
    assert diagnosis.recordings.target.double().mean() == pytest.approx(np.mean(take.wet))
