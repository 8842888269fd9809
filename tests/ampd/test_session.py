"""The bus on the real engine; what is heard is compared with what ought to be."""

import asyncio
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ampd import session as session_module
from ampd.bank import Plan
from ampd.command import SelectRig, SetGlobal, SetParam, StepRig
from ampd.errors import AmpdError, CommandError, EngineError
from ampd.library import Library
from ampd.session import Engine, Session
from ampd.state import Change, Event, Faulted, JackState
from tests.ampd.conftest import RATE_HZ, opened, write_model

SECOND = RATE_HZ
SETTLED = 4096  # frames: a fade and a ramp are over


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def refusal(session: Session, command: SelectRig | SetParam | StepRig) -> str:
    with pytest.raises(AmpdError) as caught:
        await session.execute(command)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def noise(frames: int = SETTLED, seed: int = 3) -> NDArray[np.float32]:
    return (0.05 * np.random.default_rng(seed).standard_normal(frames)).astype(np.float32)


async def heard(session: Session) -> float:
    """RMS of what comes out for a fixed noise, played by a host that is then gone again."""
    engine = await session.attach_host(RATE_HZ)
    for _ in range(SECOND // SETTLED):
        engine.process(np.zeros(SETTLED, np.float32), 64)
        engine.service()
    out = engine.process(noise(), 64)[0, SETTLED // 2 :]
    await session.detach_host()
    return float(np.sqrt(np.mean(np.square(out))))


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
        ("chain: [{fuzz: {}}]", ["new.yaml", "fuzz", "gain, amp"]),
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
            assert await session.execute(SetGlobal("mute", True)) is True
            await session.execute(SelectRig("loud"))
            assert session.state.globals == {"bypass": False, "mute": True}
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


def test_changed_rig_file_is_built_anew(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("clean"))
            (library.rigs_path / "clean.yaml").write_text("chain: [{gain: {gain_db: -9}}]")
            await session.execute(SelectRig("clean"))
            assert session.value("gain/gain_db") == -9.0
            assert 20 * np.log10(await heard(session) / 0.05) == pytest.approx(-9.0, abs=0.3)

    run(story())


def test_changed_model_is_built_anew(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("drive"))
            before = await heard(session)
            write_model(library.find_model("tiny"), seed=9)
            await session.execute(SelectRig("drive"))
            assert await heard(session) != pytest.approx(before, rel=0.01)

    run(story())


def test_unchanged_rig_is_not_built_anew(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    real = session_module.build

    def counting(engine: Engine, slot: int, plan: Plan) -> Any:
        built.append(plan.rig.name)
        return real(engine, slot, plan)

    monkeypatch.setattr(session_module, "build", counting)

    async def story() -> None:
        async with opened(library) as (session, _):
            for name in ("clean", "drive", "clean", "drive"):
                await session.execute(SelectRig(name))
            os.utime(library.rigs_path / "clean.yaml", ns=(1, 1))
            await session.execute(SelectRig("clean"))
            assert built == ["clean", "drive", "clean"]

    run(story())


def test_new_rig_file_joins_the_bank(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            (library.rigs_path / "fresh.yaml").write_text("program: 40\n")
            assert await session.execute(SelectRig("fresh")) == "fresh"
            programs = {entry.name: entry.program for entry in session.state.rigs}
            assert programs == {"clean": 0, "drive": 1, "loud": 2, "fresh": 40}

    run(story())


def test_bank_is_built_ahead_and_broken_rigs_are_shown(library: Library) -> None:
    (library.rigs_path / "bad.yaml").write_text("mix: 7\n")
    (library.rigs_path / "worse.yaml").write_text("mix: [\n")

    async def story() -> None:
        async with opened(library) as (session, _):
            session.fill_bank()
            await session.bank_filled()
            rigs = {entry.name: entry for entry in session.state.rigs}
            assert [name for name, rig in rigs.items() if rig.built] == ["clean", "drive", "loud"]
            assert "mix is 7" in rigs["bad"].error
            assert "not YAML" in rigs["worse"].error
            assert rigs["worse"].program is None

    run(story())


def test_bank_stays_within_its_memory(library: Library) -> None:
    async def story() -> None:
        async with opened(library, memory_mb=0) as (session, ear):
            for name in ("clean", "drive", "loud"):
                await session.execute(SelectRig(name))
                await ear.swap(name)
            session.fill_bank()
            await session.bank_filled()
            built = {entry.name for entry in session.state.rigs if entry.built}
            assert "loud" in built
            assert "clean" not in built
            assert await session.execute(SelectRig("clean")) == "clean"

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


def test_rigs_beyond_the_last_program_can_be_loaded(library: Library) -> None:
    for number in range(130):
        (library.rigs_path / f"r{number:03}.yaml").write_text("")

    async def story() -> None:
        async with opened(library) as (session, ear):
            for number in (0, 126, 127, 128, 129, 126):
                ear.events.clear()
                await session.execute(SelectRig(f"r{number:03}"))
                await ear.swap(f"r{number:03}")
                assert session.state.rig == f"r{number:03}"

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


def test_rig_that_cannot_play_at_the_new_rate_gives_way_to_dry(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("drive"))
            await session.attach_host(44123)
            await session.detach_host()
            await ear.swap("dry")
            assert session.state.rig == "dry"
            for word in ("drive.yaml", "48000 Hz", "44123 Hz"):
                assert word in session.state.last_error

    run(story())


def test_host_that_stands_still_is_told_of(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "ANSWER_LIMIT_S", 0.05)

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

            async def host() -> None:
                while not stop.is_set():
                    await asyncio.to_thread(engine.process, noise(256), 64)

            playing = asyncio.create_task(host())
            assert await session.execute(SelectRig("drive")) == "drive"
            await ear.swap("drive")
            assert await session.execute(SetParam("amp/gain_db", 2.0)) == 2.0
            assert session.state.last_switch is not None
            assert session.state.last_switch.method == "crossfade"
            stop.set()
            await playing
            await session.detach_host()

    run(story())


def test_snapshot_is_one_line_of_json_with_everything(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            session.report_jack(JackState("running", links=(("a:b", "ampd:in_1"),)))
            state = json.loads(session.snapshot().to_json())
            assert state["rig"] == "clean"
            assert state["jack"]["state"] == "running"
            assert state["jack"]["links"] == [["a:b", "ampd:in_1"]]
            assert state["last_switch"]["target"] == "clean"
            assert {"p50", "p99", "maximum", "late_engine", "late_machine"} == set(state["load"])
            assert state["uptime_s"] >= 0

    run(story())


def test_jack_state_is_told_once_per_change(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            for xruns in range(3):
                session.report_jack(JackState("running", xruns=xruns))
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
