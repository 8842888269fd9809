"""The bus on the real engine; what is heard is compared with what ought to be."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from ampd.command import (
    Panic,
    SelectRig,
    SetGlobal,
    SetParam,
    StepRig,
    StepSnapshot,
    Tap,
)
from ampd.config import MidiConfig
from ampd.errors import AmpdError, CommandError
from ampd.library import Library
from ampd.state import Change, Event, Faulted, JackState, Tuned
from tests.ampd.conftest import (
    LIMIT_S,
    RATE_HZ,
    SETTLED,
    heard,
    host,
    opened,
    refusal,
    run,
    write_model,
)


def test_selected_rig_plays_with_its_own_values(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            assert await session.execute(SelectRig("loud")) == "loud"
            await ear.swap("loud")
            assert session.state.rig == session.state.wanted_rig == "loud"
            assert session.state.values == {
                "input/gain_db": 0.0,
                "mix": 0.5,
                "output/gain_db": -2.0,
                "gain/gain_db": 12.0,
                "gain/bypass": 0.0,
            }

    run(story())


def test_rig_is_told_before_its_values_and_heard_after(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            kinds = [type(event).__name__ for event in ear.events]
            assert ear.events[0] == Change("rig", "clean")
            assert Change("gain/gain_db", 3.0) in ear.events
            assert kinds[-1] == "Swapped"

    run(story())


def test_value_is_answered_as_clamped_and_shown(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            assert await session.execute(SetParam("gain/gain_db", 900.0)) == 40.0
            assert session.value("gain/gain_db") == 40.0
            assert ear.events[-1] == Change("gain/gain_db", 40.0)

    run(story())


def test_unknown_path_names_its_neighbours(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("drive"))
            text = await refusal(session, SetParam("amp/gain", 1.0))
            assert text.startswith("amp/gain: rig drive has no such address; there is amp/gain_db")
            with pytest.raises(CommandError, match="no such address"):
                session.value("event/swap")

    run(story())


@pytest.mark.parametrize(
    ("rig", "words"),
    [
        ("chain: [{gain: {gian_db: 1}}]", ["new.yaml", "gian_db", "gain_db"]),
        ("chain: [{gain: {gain_db: 99}}]", ["new.yaml", "gain/gain_db", "99", "-60", "40 dB"]),
        ("chain: [{fuzz: {}}]", ["new.yaml", "fuzz", "gain, boost, gate, eq, amp"]),
        ("chain: [{amp: {}}]", ["new.yaml", "model"]),
        ("chain: [{amp: {model: nowhere}}]", ["new.yaml", "amp/model", "nowhere", "tiny"]),
        ("chain: [{amp: {model: half}}]", ["new.yaml", "half.json"]),
        ("chain: [{amp: {model: offline}}]", ["new.yaml", "offline.json", "causal"]),
        ("input: {gain_db: 41}", ["new.yaml", "input/gain_db", "41", "-40 to 40 dB"]),
        ("mix: 2", ["new.yaml", "mix", "0 to 1"]),
    ],
)
def test_failed_load_keeps_old_sound(library: Library, rig: str, words: list[str]) -> None:
    good = library.find_model("tiny").read_text()
    (library.models_path / "half.json").write_text(good[: len(good) // 2])
    document = json.loads(good) | {"causal": False}
    (library.models_path / "offline.json").write_text(json.dumps(document))
    (library.rigs_path / "new.yaml").write_text(rig)

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("loud"))
            await ear.swap("loud")
            before = await heard(session)
            text = await refusal(session, SelectRig("new"))
            for word in words:
                assert word in text
            assert session.state.last_error == text
            assert session.state.rig == session.state.wanted_rig == "loud"
            assert await heard(session) == pytest.approx(before, rel=1e-6)

    run(story())


def test_missing_rig_names_what_there_is(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            text = await refusal(session, SelectRig("claen"))
            assert text == f"{library.rigs_path}: no rig claen; there is clean."

    run(story())


def test_values_come_back_when_a_rig_is_selected_again(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await session.execute(SetParam("gain/gain_db", -20.0))
            await session.execute(SelectRig("clean"))
            assert session.value("gain/gain_db") == 3.0
            await session.execute(SetParam("gain/gain_db", -20.0))
            await session.execute(SelectRig("loud"))
            await ear.swap("loud")
            await session.execute(SelectRig("clean"))
            assert session.value("gain/gain_db") == 3.0
            assert 20 * np.log10(await heard(session) / 0.05) == pytest.approx(3.0, abs=0.3)

    run(story())


def test_bypass_and_mute_outlive_a_switch(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            before = session.state.globals
            assert before["mute"] is False
            assert await session.execute(SetGlobal("mute", True)) is True
            await session.execute(SelectRig("loud"))
            assert session.state.globals == {**before, "mute": True}
            assert await heard(session) == 0.0
            assert await session.execute(SetGlobal("mute", False)) is False
            assert await heard(session) > 0.0

    run(story())


def test_next_and_previous_go_round_in_program_order(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            forward = [await session.execute(StepRig(1)) for _ in range(3)]
            assert forward == ["drive", "loud", "clean"]
            assert await session.execute(StepRig(-1)) == "loud"

    run(story())


def test_broken_rig_does_not_hold_up_the_foot(library: Library) -> None:
    (library.rigs_path / "drive.yaml").write_text("program: 1\nchain: [{amp: {model: nowhere}}]")

    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            assert await session.execute(StepRig(1)) == "loud"
            assert "drive.yaml" in session.state.last_error

    run(story())


def test_model_file_plays_from_outside_the_library(library: Library, tmp_path: Path) -> None:
    path = write_model(tmp_path / "my amp (2).json", seed=4)

    async def story() -> None:
        async with opened(library) as (session, ear):
            assert await session.play_model(path) == "my-amp--2-"
            await ear.swap("my-amp--2-")
            assert "amp/gain_db" in session.state.values
            with pytest.raises(AmpdError, match=r"gone\.nam"):
                await session.play_model(tmp_path / "gone.nam")
            assert session.state.rig == "my-amp--2-"

    run(story())


def test_program_change_selects_without_the_control_plane(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            session.fill_bank()
            await session.execute(SelectRig("clean"))
            await session.bank_filled()
            engine = await session.attach_host(RATE_HZ)
            engine.process(np.zeros(SETTLED, np.float32), 64, [(10, bytes([0xC0, 2]))])
            engine.service()
            engine.process(np.zeros(SETTLED, np.float32), 64)
            await session.detach_host()
            await session.execute(SetParam("mix", 1.0))
            await ear.swap("loud")
            assert session.state.rig == "loud"
            assert session.value("mix") == 1.0

    run(story())


def test_program_change_to_an_unbuilt_rig_builds_it(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            engine = await session.attach_host(RATE_HZ)
            engine.process(np.zeros(64, np.float32), 64, [(0, bytes([0xC0, 1]))])
            engine.service()
            engine.process(np.zeros(64, np.float32), 64)
            await session.detach_host()
            await session.execute(SetGlobal("bypass", False))
            await ear.swap("drive")
            assert session.state.wanted_rig == "drive"

    run(story())


def test_program_change_to_a_broken_rig_is_told_and_the_sound_stays(library: Library) -> None:
    (library.rigs_path / "drive.yaml").write_text("program: 1\nmix: 3\n")

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            engine = await session.attach_host(RATE_HZ)
            engine.process(np.zeros(64, np.float32), 64, [(0, bytes([0xC0, 1]))])
            engine.service()
            engine.process(np.zeros(64, np.float32), 64)
            await session.detach_host()
            await session.execute(SetGlobal("bypass", False))
            await ear.wait(lambda event: isinstance(event, Faulted) and "mix is 3" in event.text)
            await session.execute(SetParam("gain/gain_db", 1.0))
            assert session.state.wanted_rig == "clean"

    run(story())


def test_value_sent_during_a_foot_switch_reaches_the_new_rig(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            session.fill_bank()
            await session.execute(SelectRig("clean"))
            await session.bank_filled()
            engine = await session.attach_host(RATE_HZ)
            engine.process(np.zeros(64, np.float32), 64, [(0, bytes([0xC0, 2]))])
            asked = asyncio.create_task(session.execute(SetParam("gain/gain_db", 7.0)))
            await session.detach_host()
            assert await asked == 7.0
            assert session.state.wanted_rig == "loud"
            assert session.value("gain/gain_db") == 7.0

    run(story())


def test_other_rate_keeps_rig_values_and_globals(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            session.fill_bank()
            await session.execute(SelectRig("loud"))
            await session.execute(SetParam("mix", 0.25))
            await session.execute(SetGlobal("bypass", True))
            engine = await session.attach_host(44100)
            assert engine.sample_rate_hz == 44100
            await session.detach_host()
            await session.bank_filled()
            state = session.state
            assert (state.sample_rate_hz, state.rig, state.wanted_rig) == (44100, "loud", "loud")
            assert state.values["mix"] == 0.25
            assert state.values["gain/gain_db"] == 12.0
            assert state.globals["bypass"] is True
            assert {rig.name for rig in state.rigs if rig.built} == {"clean", "drive", "loud"}

    run(story())


def test_latency_is_that_of_the_rig_that_is_heard(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            told: list[tuple[str, int]] = []

            def note(event: Event) -> None:
                told.append((type(event).__name__, session.state.latency_frames))

            await session.attach_host(44100)
            await session.detach_host()
            await session.execute(SelectRig("drive"))
            await ear.swap("drive")
            latency = session.state.latency_frames
            assert 0 < latency <= 0.0015 * 44100
            session.subscribe(note)
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            assert told[0] == ("Change", latency)
            assert told[-1] == ("Swapped", 0)

    run(story())


def test_snapshot_is_one_line_of_json_with_everything(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            session.report(JackState("running", links=(("a:b", "ampd:in_1"),)))
            state = json.loads(session.snapshot().to_json())
            assert state["rig"] == "clean"
            assert state["jack"]["state"] == "running"
            assert state["jack"]["links"] == [["a:b", "ampd:in_1"]]
            assert state["last_switch"]["target"] == "clean"
            assert {"p50", "p99", "maximum", "late_engine", "late_machine", "blocks"} == set(
                state["load"]
            )
            assert state["uptime_s"] >= 0

    run(story())


def test_jack_state_is_told_once_per_change(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            for xruns in range(3):
                session.report(JackState("running", xruns=xruns))
            assert ear.events == [Change("jack", "running")]
            assert session.state.jack.xruns == 2

    run(story())


def test_older_state_does_not_change(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            before = session.state
            await session.execute(SetParam("mix", 0.0))
            assert before.values["mix"] == 1.0
            assert session.state.revision > before.revision

    run(story())


SNAPSHOTS = """program: 5
chain:
  - gain: {gain_db: 0}
snapshots:
  - {name: quiet, gain/gain_db: -20}
  - {name: lead, gain/gain_db: 10, mix: 0.5}
"""


def test_snapshots_are_chosen_by_number_and_by_steps_that_go_round(library: Library) -> None:
    (library.rigs_path / "shots.yaml").write_text(SNAPSHOTS)

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("shots"))
            assert session.state.snapshots == ("quiet", "lead")
            assert session.value("snapshot") == 0.0
            assert await session.execute(SetParam("snapshot", 2.0)) == 2.0
            assert (session.value("gain/gain_db"), session.value("mix")) == (10.0, 0.5)
            assert Change("gain/gain_db", 10.0) in ear.events
            steps = [await session.execute(StepSnapshot(step)) for step in (1, 1, 1, -1, -1)]
            assert steps == [1.0, 2.0, 1.0, 2.0, 1.0]
            assert (session.value("gain/gain_db"), session.value("mix")) == (-20.0, 1.0)
            await session.execute(SelectRig("shots"))
            assert (session.value("snapshot"), session.value("gain/gain_db")) == (0.0, 0.0)
            assert await session.execute(StepSnapshot(-1)) == 2.0

    run(story())


def test_rig_without_snapshots_says_so(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            text = await refusal(session, StepSnapshot(1))
            assert text.startswith("snapshot: rig clean has no such address")
            assert await refusal(session, SetParam("snapshot", 1.0)) == text

    run(story())


def test_morph_goes_between_its_two_snapshots(library: Library) -> None:
    (library.rigs_path / "shots.yaml").write_text(SNAPSHOTS)

    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("shots"))
            await session.execute(SetParam("morph", 1.0))
            assert session.value("gain/gain_db") == 10.0
            await session.execute(SetParam("morph", 0.0))
            assert session.value("gain/gain_db") == -20.0
            await session.execute(SetParam("morph", 0.5))
            assert -20.0 < float(session.value("gain/gain_db")) < 10.0
            assert 0.5 < float(session.value("mix")) < 1.0

    run(story())


def test_foot_chooses_a_snapshot_and_the_state_follows(library: Library) -> None:
    (library.rigs_path / "shots.yaml").write_text(SNAPSHOTS)

    async def story() -> None:
        async with opened(library, midi=MidiConfig(profile="hx")) as (session, _):
            await session.execute(SelectRig("shots"))
            await host(session, SETTLED, bytes([0xB0, 69, 1]))
            await session.execute(SetGlobal("mute", False))
            assert (session.value("snapshot"), session.value("gain/gain_db")) == (2.0, 10.0)

    run(story())


def test_globals_are_set_clamped_and_asked(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            before = await heard(session)
            assert await session.execute(SetGlobal("master_db", -6.0)) == -6.0
            assert await heard(session) / before == pytest.approx(10 ** (-6 / 20), rel=1e-4)
            assert session.value("master_db") == -6.0
            assert Change("master_db", -6.0) in ear.events
            assert await session.execute(SetGlobal("tuner_reference_hz", 900.0)) == 450.0
            await session.execute(SetGlobal("mute", True))
            assert await session.execute(Panic()) is True
            assert (session.value("bypass"), session.value("mute")) == (True, False)
            assert await heard(session) > 0

    run(story())


def test_two_taps_are_a_tempo(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(Tap())
            engine = await session.attach_host(RATE_HZ)
            before = engine.frame
            engine.process(np.zeros(RATE_HZ // 2, np.float32), 64)
            await session.detach_host()
            told = float(await session.execute(Tap()))
            # The session itself drives a few blocks around the half second that lies between.
            frames = engine.frame - before
            assert 60 * RATE_HZ / (frames + 4 * SETTLED) < told <= 60 * RATE_HZ / (RATE_HZ // 2)
            assert session.value("tempo_bpm") == told

    run(story())


def test_tuner_tells_the_note_that_is_played(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await session.execute(SetGlobal("tuner", True))
            sine = 0.1 * np.sin(2 * np.pi * 110.0 * np.arange(RATE_HZ) / RATE_HZ)
            engine = await session.attach_host(RATE_HZ)
            out = engine.process(sine.astype(np.float32), 64)
            assert not np.any(out[:, SETTLED:]), "the tuner mutes"
            told = await ear.wait(lambda e: isinstance(e, Tuned) and e.hz > 0)
            await session.detach_host()
            assert isinstance(told, Tuned)
            assert told.note == "A2"
            assert told.hz == pytest.approx(110.0, abs=0.02)  # 0.3 cent
            await session.execute(SetGlobal("tuner", False))
            ear.events.clear()
            await asyncio.sleep(0.15)
            assert not [event for event in ear.events if isinstance(event, Tuned)]

    run(story())


def test_levels_are_those_of_what_was_played(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            sine = 0.1 * np.sin(2 * np.pi * 100.0 * np.arange(RATE_HZ) / RATE_HZ)
            await host(session, SETTLED)
            session.levels()
            out = await host(session, signal=sine.astype(np.float32))
            told = session.levels()
            # They are told with one decimal.
            assert told.in_peak_db == pytest.approx(-20.0, abs=0.06)
            assert told.in_rms_db == pytest.approx(-20.0 - 10 * np.log10(2), abs=0.06)
            assert told.out_peak_db == pytest.approx(20 * np.log10(np.max(np.abs(out))), abs=0.06)
            rms = np.sqrt(np.mean(np.square(out[0], dtype=np.float64)))
            assert told.out_rms_db == pytest.approx(20 * np.log10(rms), abs=0.06)
            await host(session, SETTLED)
            silent = session.levels()
            assert (silent.in_peak_db, silent.out_peak_db) == (-120.0, -120.0)

    run(story())


def test_load_is_told_for_each_block_of_the_rig_that_is_heard(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("drive"))
            await ear.swap("drive")
            engine = await session.attach_host(RATE_HZ)
            async with asyncio.timeout(LIMIT_S):
                while not session.state.load.blocks:  # it is read once a second
                    engine.process(np.zeros(SETTLED, np.float32), 64)
                    await asyncio.sleep(0.01)
            await session.detach_host()
            load = session.state.load
            blocks = {path.split("/")[0] for path in session.state.values if "/" in path}
            assert {block.name for block in load.blocks} == blocks - {"input", "output"}
            for block in load.blocks:
                assert 0 < block.p50 <= block.p99 <= block.maximum <= load.maximum

    run(story())


def test_learn_answers_the_next_controller_which_does_nothing_else(library: Library) -> None:
    async def story() -> None:
        async with opened(library, midi=MidiConfig(profile="hx")) as (session, _):
            await session.execute(SelectRig("clean"))
            learning = asyncio.create_task(session.learn())
            await asyncio.sleep(0)
            await host(session, SETTLED, bytes([0xB4, 104, 64]))
            await session.execute(SetGlobal("mute", False))
            assert await learning == (5, 104, 64)
            assert session.value("mix") == 1.0
            await host(session, SETTLED, bytes([0xB4, 104, 0]))
            await session.execute(SetGlobal("mute", False))
            assert session.value("mix") == 0.0

    run(story())


def test_learn_ends_in_time_and_gives_way_to_a_later_one(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            with pytest.raises(CommandError, match=r"no controller moved within 0\.01 s"):
                await session.learn(0.01)
            first = asyncio.create_task(session.learn())
            await asyncio.sleep(0)
            second = asyncio.create_task(session.learn())
            with pytest.raises(CommandError, match="another one asked later"):
                await first
            await host(session, SETTLED, bytes([0xB0, 20, 9]))
            await session.execute(SetGlobal("mute", False))
            assert await second == (1, 20, 9)

    run(story())


def test_learn_outlives_a_change_of_rate(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            learning = asyncio.create_task(session.learn())
            await asyncio.sleep(0)
            engine = await session.attach_host(44100)
            engine.process(np.zeros(64, np.float32), 64, [(0, bytes([0xB0, 20, 9]))])
            await session.detach_host()
            await session.execute(SetGlobal("mute", False))
            assert await learning == (1, 20, 9)

    run(story())
