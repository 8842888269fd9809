"""The library looked through in the background: by a process, and in memory where it must be."""

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from ampd import finder as finder_module
from ampd.errors import CommandError
from ampd.finder import INDEX_FILE, Finder, Result, entry_row
from ampd.index import Index
from ampd.library import Library
from ampd.passports import Passport, Store, fingerprint
from ampd.scan import command, root_of, scan
from tests.ampd.conftest import LIMIT_S, Served, opened, run, write_model


def fill(folder: Path) -> Library:
    """Two good models, four that no rig can use, a cab and a rig."""
    models = folder / "models"
    write_model(models / "tiny" / "tiny.json")
    write_model(models / "flat.json")
    (models / "spoilt.nam").write_text("{")
    (models / "a b.nam").write_text("{}")
    (models / "pack").mkdir()
    (models / "pack" / "one.nam").write_text("{}")
    (folder / "outside.nam").write_text("{}")
    (models / "led.nam").symlink_to(folder / "outside.nam")
    (models / "loop.nam").symlink_to(models / "loop.nam")
    os.mkfifo(models / "pipe.nam")
    (models / "cabs").mkdir()
    sf.write(models / "cabs" / "green.wav", np.ones(480) / 2, 48000)
    (folder / "rigs").mkdir()
    (folder / "rigs" / "amp.yaml").write_text("chain:\n  - amp: {model: tiny}\n")
    return Library(folder / "rigs", models)


@asynccontextmanager
async def finding(library: Library, cache: Path) -> AsyncIterator[Finder]:
    finder = Finder(library, cache)
    try:
        async with asyncio.timeout(LIMIT_S):
            finder.refresh()
            await finder.looked()
            yield finder
    finally:
        await finder.stop()


def names(result: Result) -> list[str]:
    return [entry.name for entry in result.entries]


def test_everything_that_lies_there_is_found_with_its_reason(tmp_path: Path) -> None:
    library = fill(tmp_path)
    index = Index(None)
    assert scan(index, library) == 8
    _, entries = index.search("model", root_of(library, "model"), "")
    reasons = {entry.name: entry.facts.reason for entry in entries}
    assert {name for name, reason in reasons.items() if not reason} == {"flat", "tiny"}
    assert set(library.model_names()) == {"flat", "spoilt", "tiny"}  # what find_model would take
    for name, words in {
        "spoilt": "not JSON",
        "a b": "no model name",
        "one": "no rig can name it",
        "led": "leads out",
    }.items():
        assert words in reasons[name]
    assert scan(index, library) == 0


def test_what_changed_is_read_again_and_what_went_is_gone(tmp_path: Path) -> None:
    library = fill(tmp_path)
    index = Index(None)
    scan(index, library)
    write_model(library.models_path / "spoilt.nam", seed=2)
    (library.models_path / "flat.json").unlink()
    assert scan(index, library) == 2
    _, entries = index.search("model", root_of(library, "model"), "")
    found = {entry.name: entry.facts.family for entry in entries}
    assert found["spoilt"] == "ampd"
    assert "flat" not in found


def test_a_process_of_its_own_looks_and_the_daemon_finds(tmp_path: Path) -> None:
    async def story() -> None:
        async with finding(fill(tmp_path), tmp_path / "cache") as finder:
            result = await finder.find("model", "family:ampd")
            assert (names(result), result.complete, result.note) == (["flat", "tiny"], True, "")
            assert names(await finder.find("cab", "green")) == ["green"]
            assert names(await finder.find("rig", "tiny")) == ["amp"]
            assert (tmp_path / "cache" / INDEX_FILE).stat().st_size > 0

    run(story())


def test_a_new_model_is_found_after_a_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder_module, "REST_S", 0.0)

    async def story() -> None:
        library = fill(tmp_path)
        async with finding(library, tmp_path / "cache") as finder:
            write_model(library.models_path / "newer.json")
            finder.refresh()
            await finder.looked()
            assert names(await finder.find("model", "newer")) == ["newer"]

    run(story())


def test_hash_and_passport_come_when_one_model_is_meant(tmp_path: Path) -> None:
    async def story() -> None:
        library, store = fill(tmp_path), Store(tmp_path / "cache")
        key = fingerprint(library.find_model("tiny"))
        passport = Passport(
            loudness_lufs=-20.0,
            rms_dbfs=-22.0,
            dc_dbfs=-200.0,
            noise_dbfs=-200.0,
            polarity=1,
            latency_frames=0,
            cost=None,
        )
        store.keep_passport(key, passport)
        async with finding(library, tmp_path / "cache") as finder:
            several = await finder.find("model", "family:ampd")
            assert [entry.sha256 for entry in several.entries] == [None, None]
            one = await finder.find("model", "name:tiny")
            assert (one.entries[0].sha256, one.passport) == (key, passport)
            row = json.loads(one.to_json())["entries"][0]
            assert row["passport"]["loudness_lufs"] == -20.0
            kept = await finder.find("model", "family:ampd")
            assert [entry.sha256 for entry in kept.entries] == [None, key]

    run(story())


def test_where_nothing_can_be_written_it_finds_from_memory_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder_module, "REST_S", 0.0)
    (tmp_path / "cache").write_text("a file, where a folder should be")

    async def story() -> None:
        async with finding(fill(tmp_path), tmp_path / "cache") as finder:
            for _ in range(3):
                result = await finder.find("model", "family:ampd")
                assert names(result) == ["flat", "tiny"]
                assert "cannot be used" in result.note
                finder.refresh()
                await finder.looked()

    with caplog.at_level(logging.WARNING):
        run(story())
    assert sum("cannot be used" in record.message for record in caplog.records) == 1


def test_a_process_that_cannot_write_is_no_end_of_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for the process alone: it may write no byte (RLIMIT_FSIZE)."""
    full = ["sh", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$0" "$@"']
    monkeypatch.setattr(finder_module, "command", lambda *arguments: [*full, *command(*arguments)])

    async def story() -> None:
        async with finding(fill(tmp_path), tmp_path / "cache") as finder:
            result = await finder.find("model", "family:ampd")
            assert names(result) == ["flat", "tiny"]
            assert "cannot be written" in result.note

    run(story())


def test_an_index_that_is_spoilt_while_the_daemon_runs_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder_module, "REST_S", 0.0)

    async def story() -> None:
        async with finding(fill(tmp_path), tmp_path / "cache") as finder:

            def fail(*_: object) -> None:
                monkeypatch.undo()
                raise sqlite3.DatabaseError("database disk image is malformed")

            monkeypatch.setattr(Index, "search", fail)
            assert (await finder.find("model", "tiny")).total == 0
            await asyncio.sleep(0.01)
            await finder.looked()
            assert names(await finder.find("model", "name:tiny")) == ["tiny"]

    run(story())


def test_a_daemon_that_stops_does_not_wait_for_the_look(tmp_path: Path) -> None:
    async def story() -> None:
        finder = Finder(fill(tmp_path), tmp_path / "cache")
        finder.refresh()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(LIMIT_S):
            await finder.stop()

    run(story())


def test_an_answer_is_never_longer_than_a_datagram(tmp_path: Path) -> None:
    library = fill(tmp_path)
    index = Index(None)
    scan(index, library)
    _, entries = index.search("model", root_of(library, "model"), "name:tiny")
    result = Result("model", "", 0, 100_000, True, "", tuple(entries * 1000))
    text = result.to_json()
    assert len(text) <= finder_module.MAX_ANSWER_BYTES + 300  # and the head
    assert 10 < len(json.loads(text)["entries"]) < 1000


def test_a_row_leaves_out_what_the_file_does_not_say(tmp_path: Path) -> None:
    library = fill(tmp_path)
    index = Index(None)
    scan(index, library)
    _, entries = index.search("model", root_of(library, "model"), "spoilt")
    assert set(entry_row(entries[0])) == {"name", "path", "size_bytes", "reason"}


def test_too_many_who_ask_at_once_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with finding(fill(tmp_path), tmp_path / "cache") as finder:
            asked = [finder.find("model") for _ in range(finder_module.MAX_ASKING + 5)]
            results = await asyncio.gather(*asked, return_exceptions=True)
            refused = [each for each in results if isinstance(each, CommandError)]
            assert len(refused) == 5
            assert sum(isinstance(each, Result) for each in results) == finder_module.MAX_ASKING

    run(story())


def test_a_session_without_a_finder_says_so(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            with pytest.raises(CommandError):
                await session.find("model")

    run(story())


def test_osc_tells_models_and_impulses(served: Served) -> None:
    (served.library.models_path / "cabs").mkdir()
    sf.write(served.library.models_path / "cabs" / "green.wav", np.ones(480) / 2, 48000)
    with served.client() as client:
        while not json.loads(client.ask("/ampd/models", "tiny", 0)[1][0])["complete"]:
            pass
        address, (text,) = client.ask("/ampd/models", "tiny", 0)
        page = json.loads(text)
        assert (address, page["words"], page["offset"]) == ("/ampd/models", "tiny", 0)
        assert [row["name"] for row in page["entries"]] == ["tiny"]
        assert json.loads(client.ask("/ampd/irs", "green")[1][0])["total"] == 1
        assert json.loads(client.ask("/ampd/models", "", 1)[1][0])["entries"] == []
        for bad in ((5,), ("a", "b"), ("a", -1), ("colour:red",), ("a", 1, 2)):
            address, (at, text) = client.ask("/ampd/models", *bad)
            assert (address, at) == ("/ampd/error", "/ampd/models")
            assert text
