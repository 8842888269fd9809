"""What plays is on disk soon after every change, whatever the disk does meanwhile."""

import asyncio
import errno
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ampd import keeper as keeper_module
from ampd.command import SelectRig, SetGlobal, SetParam, Tap
from ampd.generations import Generations
from ampd.keeper import Keeper
from ampd.kept import Kept
from ampd.library import Library
from ampd.session import Session
from ampd.state import Faulted, JackState
from tests.ampd.conftest import LIMIT_S, Ear, opened, run

WRITTEN_S = 0.5  # the most that a change may wait for the disk


class Disk(Generations):
    """A folder that counts what is written, and can hang or refuse."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "ampd")
        self.written: list[Kept] = []
        self.tries = 0
        self.refuses = 0  # an errno
        self.answers = threading.Event()
        self.answers.set()

    def write(self, kept: Kept) -> None:
        self.tries += 1
        self.answers.wait()
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        super().write(kept)
        self.written.append(kept)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "state")


@asynccontextmanager
async def keeping(library: Library, disk: Disk) -> AsyncIterator[tuple[Session, Ear]]:
    """A session that plays drive, which is kept already."""
    async with opened(library) as (session, ear):
        await session.execute(SelectRig("drive"))
        await ear.swap("drive")
        keeper = Keeper(session, disk)
        keeper.start(session.kept())
        try:
            yield session, ear
        finally:
            await keeper.stop()


async def until(true: Callable[[], object]) -> None:
    """Look again and again, but not for ever."""
    async with asyncio.timeout(LIMIT_S):
        while not true():  # noqa: ASYNC110 (a disk tells nobody)
            await asyncio.sleep(0.005)


async def until_saved(session: Session) -> None:
    """Wait until what plays is on disk."""
    await until(lambda: session.state.store.saved)


def test_a_change_is_on_disk_soon_and_unasked(library: Library, disk: Disk) -> None:
    assert 2 * keeper_module.GAP_S <= WRITTEN_S  # one write may be under way

    async def story() -> None:
        async with keeping(library, disk) as (session, _):
            await session.execute(SetParam("amp/gain_db", 1.5))
            await session.execute(SetGlobal("master_db", -3.0))
            await until(lambda: disk.read(disk.newest) == session.kept())
            await until_saved(session)
            assert session.state.store.path == str(disk.newest)

    run(story())


def test_a_fader_is_few_writes_and_its_last_value_is_kept(library: Library, disk: Disk) -> None:
    async def story() -> None:
        async with keeping(library, disk) as (session, _):
            began_s = time.monotonic()
            steps = 0
            while (moved_s := time.monotonic() - began_s) < 1.0:
                await session.execute(
                    SetParam("amp/gain_db", 0.25 + steps % 20)
                )  # never the rig's own
                steps += 1
            await until_saved(session)
            # Four looks until the gap has grown, and one after the last move.
            assert len(disk.written) <= 5 + moved_s / keeper_module.GAP_S
            assert steps > 3 * len(disk.written)
            assert disk.written[-1].values["amp/gain_db"] == session.state.values["amp/gain_db"]

    run(story())


def test_what_did_not_change_is_not_written(library: Library, disk: Disk) -> None:
    async def story() -> None:
        async with keeping(library, disk) as (session, _):
            session.report(JackState("lost", "gone"))
            await session.execute(SetParam("amp/gain_db", session.state.values["amp/gain_db"]))
            await asyncio.sleep(WRITTEN_S)
            assert disk.tries == 0

    run(story())


def test_the_end_writes_what_was_not_written_yet(library: Library, disk: Disk) -> None:
    async def story() -> None:
        async with keeping(library, disk) as (session, _):
            await session.execute(SetParam("amp/gain_db", 1.0))
            await session.execute(SetParam("amp/gain_db", 2.0))
        kept = disk.read(disk.newest)
        assert kept is not None
        assert kept.values == {"amp/gain_db": 2.0}

    run(story())


def test_what_was_asked_for_at_the_start_is_kept_at_once(library: Library, disk: Disk) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("loud"))
            await ear.swap("loud")
            keeper = Keeper(session, disk)
            keeper.start(None)
            await asyncio.sleep(WRITTEN_S)
            await keeper.stop()
        assert [kept.rig for kept in disk.written] == ["loud"]

    run(story())


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_a_refusal_is_told_at_once_and_the_old_state_stays(
    library: Library, disk: Disk, trouble: int
) -> None:
    async def story() -> None:
        async with keeping(library, disk) as (session, ear):
            await session.execute(SetParam("amp/gain_db", 1.0))
            await until_saved(session)
            old = disk.read(disk.newest)
            disk.refuses = trouble
            await session.execute(SetParam("amp/gain_db", 2.0))
            event = await ear.wait(lambda e: isinstance(e, Faulted))
            assert isinstance(event, Faulted)
            assert os.strerror(trouble) in event.text
            assert str(disk.newest) in event.text
            store = session.state.store
            assert (store.saved, store.error) == (False, event.text)
            assert session.state.last_error == event.text
            assert disk.read(disk.newest) == old
            # It is tried again at the next change, and told once.
            await session.execute(SetParam("amp/gain_db", 3.0))
            await asyncio.sleep(WRITTEN_S)
            assert len([e for e in ear.events if isinstance(e, Faulted)]) == 1
            disk.refuses = 0
            await session.execute(SetParam("amp/gain_db", 4.0))
            await until_saved(session)
            assert (session.state.store.error, session.state.last_error) == ("", "")
            assert disk.read(disk.newest) == session.kept()

    run(story())


def test_what_was_refused_is_tried_again_without_a_change(
    library: Library, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keeper_module.RETRY_S == 30.0
    monkeypatch.setattr(keeper_module, "RETRY_S", 0.1)

    async def story() -> None:
        async with keeping(library, disk) as (session, ear):
            disk.refuses = errno.ENOSPC
            await session.execute(SetParam("amp/gain_db", 2.0))
            await ear.wait(lambda e: isinstance(e, Faulted))
            disk.refuses = 0
            await until_saved(session)
            assert disk.read(disk.newest) == session.kept()

    run(story())


def test_a_disk_that_hangs_holds_up_no_command(library: Library, disk: Disk) -> None:
    disk.answers.clear()

    async def story() -> None:
        async with keeping(library, disk) as (session, _):
            await session.execute(SetParam("amp/gain_db", 1.0))
            await until(lambda: disk.tries)
            for _ in range(20):
                await session.execute(Tap())
            assert disk.written == []
            disk.answers.set()
            await until_saved(session)

    run(story())


def test_a_disk_that_hangs_does_not_hold_up_the_end(
    library: Library, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "STOP_LIMIT_S", 0.1)
    disk.answers.clear()

    async def story() -> None:
        async with asyncio.timeout(LIMIT_S), keeping(library, disk) as (session, _):
            await session.execute(SetParam("amp/gain_db", 1.0))
            await until(lambda: disk.tries)
        assert disk.written == []

    try:
        run(story())
    finally:
        disk.answers.set()


def test_half_of_a_move_into_another_engine_is_never_kept(library: Library, disk: Disk) -> None:
    async def story() -> None:
        async with keeping(library, disk) as (session, _):
            await session.execute(SetParam("amp/gain_db", 1.5))
            await session.execute(SetGlobal("master_db", -3.0))
            await until_saved(session)
            before, count = session.kept(), len(disk.written)
            await session.attach_host(44100)
            await session.detach_host()
            await asyncio.sleep(WRITTEN_S)
            assert session.kept() == before
            assert all(kept == before for kept in disk.written[count:])

    run(story())
