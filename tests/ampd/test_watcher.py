"""Files that are edited while the watcher looks, with real folders and the real session."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ampd import watcher as watcher_module
from ampd.command import SelectRig
from ampd.config import Config, MidiConfig
from ampd.library import Library
from ampd.session import Session
from ampd.state import Faulted, Swapped
from ampd.watcher import watch
from tests.ampd.conftest import LIMIT_S, Ear, opened, run, write_model

BEGUN_S = 0.3  # until the watcher's threads look: only it knows, and it does not say


@asynccontextmanager
async def watched(library: Library, tmp_path: Path) -> AsyncIterator[tuple[Session, Ear]]:
    midi = MidiConfig(map=tmp_path / "config" / "midi.yaml")
    midi.map.parent.mkdir()
    config = Config(midi=midi)
    paths = replace(
        config.paths,
        rigs=library.rigs_path,
        models=library.models_path,
        cabs=tmp_path / "cabs",
    )
    async with opened(library, midi=midi) as (session, ear):
        task = asyncio.create_task(watch(session, replace(config, paths=paths)))
        await session.execute(SelectRig("clean"))
        await ear.swap("clean")
        ear.events.clear()
        await asyncio.sleep(BEGUN_S)
        yield session, ear
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_edited_rig_is_heard_by_itself(library: Library, tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(library, tmp_path) as (session, ear):
            (library.rigs_path / "clean.yaml").write_text("program: 0\nmix: 0.5\n")
            await ear.wait(lambda event: isinstance(event, Swapped))
            assert session.value("mix") == 0.5

    run(story())


def test_spoilt_rig_is_told_and_the_watcher_goes_on(library: Library, tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(library, tmp_path) as (session, ear):
            (library.rigs_path / "clean.yaml").write_text("program: 0\nmix: 5\n")
            await ear.wait(lambda event: isinstance(event, Faulted))
            (library.rigs_path / "clean.yaml").write_text("program: 0\nmix: 0.25\n")
            await ear.wait(lambda event: isinstance(event, Swapped))
            assert session.value("mix") == 0.25

    run(story())


async def until(session: Session, what: str) -> None:
    """Wait until the last error names `what`."""
    async with asyncio.timeout(LIMIT_S):
        for _ in range(1000):
            if what in session.state.last_error:
                return
            await asyncio.sleep(0.01)


def test_map_is_watched_and_its_neighbours_are_not(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    real = Session.files_changed

    async def counting(session: Session) -> None:
        looks.append("look")
        await real(session)

    monkeypatch.setattr(Session, "files_changed", counting)

    async def story() -> None:
        async with watched(library, tmp_path) as (session, _):
            (tmp_path / "config" / "other.yaml").write_text("bindings: [\n")
            await asyncio.sleep(1.0)
            assert not looks
            (tmp_path / "config" / "midi.yaml").write_text("bindings: [\n")
            await until(session, "midi.yaml")
            assert "midi.yaml" in session.state.last_error

    run(story())


def test_folder_that_comes_later_and_a_bug_do_not_end_it(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "RETRY_S", 0.1)
    looks = asyncio.Queue[str]()

    async def broken(_: Session) -> None:
        looks.put_nowait("look")
        raise KeyError("a bug")

    monkeypatch.setattr(Session, "files_changed", broken)

    async def story() -> None:
        async with watched(library, tmp_path), asyncio.timeout(2 * LIMIT_S):
            (tmp_path / "cabs").mkdir()
            await looks.get()
            (library.rigs_path / "clean.yaml").write_text("mix: 0\n")
            await looks.get()
            await asyncio.sleep(BEGUN_S)
            (tmp_path / "cabs" / "new.wav").write_bytes(b"")
            await looks.get()

    run(story())


def test_a_new_model_in_a_new_folder_of_many_is_noticed(library: Library, tmp_path: Path) -> None:
    """The folder comes first and its file later, as a copy brings them."""
    for n in range(50):
        (library.models_path / f"m{n}").mkdir()

    async def story() -> None:
        told: list[None] = []
        async with watched(library, tmp_path) as (session, ear):
            taken = session.files_changed

            async def count() -> None:
                told.append(None)
                await taken()

            session.files_changed = count  # type: ignore[method-assign]
            (library.models_path / "late").mkdir()
            await comes(lambda: len(told) == 1)
            (library.models_path / "late" / "late.nam").write_text("{}")
            await comes(lambda: len(told) == 2)
            (library.models_path / "m7" / "m7.nam").write_text("{}")
            await comes(lambda: len(told) == 3)
            assert not ear.events

    run(story())


def test_models_that_go_and_come_back_are_watched_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "RETRY_S", 0.05)

    async def story() -> None:
        async with watched(library, tmp_path) as (session, ear):
            away = tmp_path / "away"
            library.models_path.rename(away)
            await asyncio.sleep(0.2)
            away.rename(library.models_path)
            await asyncio.sleep(0.3)
            (library.rigs_path / "drive.yaml").write_text(
                "program: 1\nchain:\n  - amp: {model: other}\n"
            )
            await ear.wait(lambda event: isinstance(event, Faulted))
            write_model(library.models_path / "other.json", seed=5)
            await comes(lambda: not any(rig.error for rig in session.state.rigs))

    run(story())


async def comes(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
