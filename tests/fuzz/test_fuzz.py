"""The short form of `make fuzz` for the readers in Python; the programs in C++ are run by ctest."""

import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from ampd.errors import RigError
from tests.fuzz import python_fuzzer, targets
from tests.fuzz.fuzz import READERS
from tests.fuzz.mutate import KEPT, mutate, seeds_of
from tests.fuzz.targets import FindingError, run

CHANGES = {"osc": 3000, "rig": 400, "state": 1500, "toml": 500}


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process holds other tests as well: what counts is what comes to it."""
    there_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(targets, "MOST_KB", there_kb + targets.MOST_KB)


@pytest.mark.parametrize("kind", READERS)
def test_no_kept_file_surprises_its_reader(kind: str) -> None:
    kept = sorted((KEPT / kind).iterdir())
    assert kept
    for path in kept:
        run(targets.READERS[kind], path.read_bytes())


@pytest.mark.parametrize("kind", READERS)
def test_nothing_nearly_right_surprises_a_reader(kind: str) -> None:
    chance = random.Random(8)
    for _ in range(CHANGES[kind]):
        data = mutate(chance.choice(seeds_of(kind)), chance, kind)
        try:
            run(targets.READERS[kind], data)
        except BaseException as error:
            error.add_note(f"the input: {data!r}")
            raise


def crash(_: bytes, *__: object) -> NoReturn:
    raise KeyError("planted")


def babble(_: bytes, *__: object) -> NoReturn:
    raise RigError("something is wrong")


def spin(_: bytes) -> None:
    until_s = time.thread_time() + 1.1 * targets.MOST_SECONDS
    while time.thread_time() < until_s:
        pass


@pytest.mark.parametrize(
    ("planted", "error"), [(crash, KeyError), (babble, FindingError)], ids=["crash", "babble"]
)
def test_a_planted_fault_of_a_reader_is_found(
    monkeypatch: pytest.MonkeyPatch, planted: Callable[..., NoReturn], error: type[Exception]
) -> None:
    monkeypatch.setattr(targets, "parse_rig", planted)
    with pytest.raises(error):
        run(targets.rig, b"chain: []\n")


def test_a_reader_that_takes_its_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST_SECONDS", 0.05)
    with pytest.raises(FindingError, match=r"more than 0\.05 s"):
        run(spin, b"")


def test_a_reader_that_takes_the_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST_KB", 1024)
    with pytest.raises(FindingError, match="memory"):
        run(targets.state, b"")


def test_the_blind_fuzzer_keeps_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["-runs=50", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    assert python_fuzzer.blind("state", arguments) == 0
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(targets.READERS, "state", crash)
    assert python_fuzzer.blind("state", arguments) == 1
    assert [path.name[:6] for path in tmp_path.iterdir()] == ["crash-"]
