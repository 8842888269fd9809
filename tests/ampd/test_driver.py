"""Who calls the engine, and who waits for it."""

import asyncio
import gc
import threading
from pathlib import Path

import pytest

from ampd import driver as driver_module
from ampd.command import SelectRig, SetGlobal, SetParam
from ampd.config import MidiConfig
from ampd.driver import in_thread
from ampd.errors import EngineError
from ampd.library import Library
from ampd.state import Change, Event
from tests.ampd.conftest import RATE_HZ, host, noise, opened, run


def test_host_that_stands_still_is_told_of(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "ANSWER_LIMIT_S", 0.05)

    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            await session.attach_host(RATE_HZ)
            with pytest.raises(EngineError, match="did not answer within"):
                await session.execute(SelectRig("loud"))
            await session.detach_host()

    run(story())


def test_burst_of_values_is_all_answered_and_the_last_one_holds(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            values = [n / 100 for n in range(100)]
            answers = await asyncio.gather(
                *(session.execute(SetParam("mix", value)) for value in values)
            )
            assert answers[-1] == session.value("mix") == pytest.approx(0.99)

    run(story())


def test_command_that_is_cancelled_as_its_answer_comes_ends(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            task = asyncio.create_task(session.execute(SetParam("gain/gain_db", 1.0)))

            def cancel(event: Event) -> None:
                if isinstance(event, Change):
                    task.cancel()

            session.subscribe(cancel)
            await asyncio.wait([task])
            assert task.cancelled()

    run(story())


def test_what_fails_when_nobody_waits_any_more_is_not_told() -> None:
    told: list[object] = []
    begun, goes_on = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        goes_on.wait()
        raise OSError("the folder is gone")

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        task = asyncio.create_task(in_thread(fail))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.sleep(0)
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        gc.collect()

    run(story())
    assert told == []


def test_switches_at_once_leave_the_last_one_playing(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            session.fill_bank()
            await session.bank_filled()
            names = ["clean", "drive", "loud"] * 5 + ["drive"]
            await asyncio.gather(*(session.execute(SelectRig(name)) for name in names))
            await ear.swap("drive")
            await session.execute(SetParam("mix", 1.0))
            assert session.state.wanted_rig == "drive"

    run(story())


def test_threaded_engine_reports_by_its_event_fd(library: Library) -> None:
    """A host in a thread drives the engine, as JACK does; the facts come through the loop."""

    async def story() -> None:
        async with opened(library, threaded=True) as (session, ear):
            engine = await session.attach_host(RATE_HZ)
            stop = asyncio.Event()

            async def play() -> None:
                while not stop.is_set():
                    await asyncio.to_thread(engine.process, noise(256), 64)

            playing = asyncio.create_task(play())
            assert await session.execute(SelectRig("drive")) == "drive"
            await ear.swap("drive")
            assert await session.execute(SetParam("amp/gain_db", 2.0)) == 2.0
            assert session.state.last_switch is not None
            assert session.state.last_switch.method == "crossfade"
            stop.set()
            await playing
            await session.detach_host()

    run(story())


def test_queue_that_nobody_empties_holds_up_nothing(library: Library) -> None:
    """More messages than the queue holds, none of which is answered, and then a command."""

    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            for _ in range(1100):
                session.refresh_controllers()
            with pytest.raises(EngineError, match="queue is full"):
                await session.execute(SetParam("mix", 0.5))
            await asyncio.sleep(0.05)
            assert await session.execute(SetParam("mix", 0.5)) == 0.5

    run(story())


def test_bindings_that_found_no_room_come_later(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "midi.yaml"
    path.write_text("bindings: [{control: 20, path: master_db, low: -60, high: 0}]\n")

    async def story() -> None:
        async with opened(library, midi=MidiConfig(map=path)) as (session, _):
            await session.execute(SelectRig("clean"))
            engine = await session.attach_host(RATE_HZ)
            while engine.set_param(0, 0, 0.0):
                pass
            path.write_text("bindings: [{control: 21, path: master_db, low: -60, high: 0}]\n")
            changing = asyncio.create_task(session.files_changed())
            await asyncio.sleep(0.2)
            await session.detach_host()
            await asyncio.gather(changing, return_exceptions=True)
            await host(session, 4096, bytes([0xB0, 20, 0]))
            await session.execute(SetGlobal("mute", False))
            assert session.value("master_db") == 0.0
            await host(session, 4096, bytes([0xB0, 21, 0]))
            await session.execute(SetGlobal("mute", False))
            assert session.value("master_db") == -60.0

    run(story())
