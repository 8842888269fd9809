"""What the audio thread reports: the State is what plays, whatever the feet did meanwhile."""

import numpy as np

from ampd.command import SelectRig, SetGlobal, SetParam
from ampd.config import MidiConfig
from ampd.library import Library
from ampd.state import Faulted
from tests.ampd.conftest import RATE_HZ, opened, run


def test_state_is_right_after_more_reports_than_there_is_room_for(library: Library) -> None:
    async def story() -> None:
        async with opened(library, midi=MidiConfig(profile="hx")) as (session, _):
            session.fill_bank()
            await session.execute(SelectRig("clean"))
            await session.bank_filled()
            engine = await session.attach_host(RATE_HZ)
            moves = [(n, bytes([0xB0, 104, n % 127])) for n in range(6000)]
            engine.process(np.zeros(6001, np.float32), 64, moves)
            engine.process(np.zeros(64, np.float32), 64, [(0, bytes([0xC0, 2]))])
            for _ in range(200):
                engine.service()
                engine.process(np.zeros(64, np.float32), 64)
            engine.process(np.zeros(64, np.float32), 64, [(0, bytes([0xB0, 104, 127]))])
            await session.detach_host()
            await session.execute(SetGlobal("mute", False))
            await session.execute(SetGlobal("mute", False))
            assert (session.state.rig, session.state.wanted_rig) == ("loud", "loud")
            assert session.value("mix") == 1.0
            assert await session.execute(SetParam("mix", 0.25)) == 0.25

    run(story())


def test_refused_foot_switch_leaves_the_state_with_what_plays(library: Library) -> None:
    """A rig that is still being warmed gives way to a later program that cannot be built."""
    (library.rigs_path / "drive.yaml").write_text("program: 1\nmix: 3\n")

    async def story() -> None:
        async with opened(library) as (session, ear):
            session.fill_bank()
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            await session.execute(SetParam("gain/gain_db", -5.0))
            await session.bank_filled()
            engine = await session.attach_host(RATE_HZ)
            engine.process(
                np.zeros(64, np.float32), 64, [(0, bytes([0xC0, 2])), (1, bytes([0xC0, 1]))]
            )
            for _ in range(200):
                engine.service()
                engine.process(np.zeros(64, np.float32), 64)
            await session.detach_host()
            await session.execute(SetGlobal("mute", False))
            await ear.wait(lambda event: isinstance(event, Faulted) and "mix is 3" in event.text)
            assert (session.state.rig, session.state.wanted_rig) == ("clean", "clean")
            assert session.value("gain/gain_db") == -5.0
            assert await session.execute(SetParam("gain/gain_db", -4.0)) == -4.0

    run(story())


def test_rig_that_is_built_late_does_not_overtake_the_foot(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("loud"))
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            engine = await session.attach_host(RATE_HZ)
            engine.process(np.zeros(64, np.float32), 64, [(0, bytes([0xC0, 1]))])
            for _ in range(50):
                engine.service()
                engine.process(np.zeros(64, np.float32), 64)
            engine.process(np.zeros(64, np.float32), 64, [(0, bytes([0xC0, 2]))])
            await session.detach_host()
            ear.events.clear()
            await session.execute(SetGlobal("mute", False))
            await ear.swap("loud")
            for _ in range(100):
                await session.execute(SetGlobal("mute", False))
            assert "drive" in {entry.name for entry in session.state.rigs if entry.built}
            await session.execute(SetGlobal("mute", False))
            assert session.state.wanted_rig == "loud"

    run(story())
