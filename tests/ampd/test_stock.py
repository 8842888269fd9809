"""What lies ready: built ahead, anew where files changed, and in the sets' own order."""

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ampd import rack
from ampd import stock as stock_module
from ampd.bank import Plan
from ampd.command import SelectRig, SelectSet, SetGlobal, SetParam, StepSet
from ampd.config import MidiConfig
from ampd.levels import TARGET_LUFS
from ampd.library import Library
from ampd.passports import Store
from ampd.probe import guitar_signal
from ampd.probe import loudness_lufs as probe_loudness_lufs
from ampd.rack import Engine, Setup
from ampd.rehearsal import Levels
from ampd.session import Session
from ampd.state import Change, Faulted, Swapped
from tests.ampd.conftest import (
    RATE_HZ,
    SETTLED,
    heard,
    host,
    opened,
    refusal,
    run,
    write_model,
)


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
    real = rack.build

    def counting(engine: Engine, slot: int, plan: Plan, setup: Setup) -> Any:
        built.append(plan.rig.name)
        return real(engine, slot, plan, setup)

    monkeypatch.setattr(stock_module, "build", counting)

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


# --- sets ---------------------------------------------------------------------------------------


def write_sets(library: Library) -> None:
    library.sets_path.mkdir()
    (library.sets_path / "gig.yaml").write_text("bank: 1\nrigs: [loud, drive]\n")
    (library.sets_path / "solo.yaml").write_text("bank: 7\nrigs: [{drive: 9}]\n")


def test_set_puts_its_rigs_under_the_foot_and_what_plays_plays_on(library: Library) -> None:
    """Slot 0 is clean's in the folder and loud's in the set."""
    write_sets(library)

    async def story() -> None:
        async with opened(library) as (session, ear):
            session.fill_bank()
            await session.execute(SelectRig("clean"))
            await session.execute(SetParam("gain/gain_db", -7.0))
            await session.bank_filled()
            before = await heard(session)
            assert await session.execute(SelectSet("gig")) == "gig"
            assert Change("set", "gig") in ear.events
            assert (session.state.rig, session.state.wanted_rig) == ("clean", "clean")
            assert session.value("gain/gain_db") == -7.0
            assert await heard(session) == pytest.approx(before, rel=1e-6)
            await session.bank_filled()
            programs = {entry.name: entry.program for entry in session.state.rigs}
            assert programs == {"loud": 0, "drive": 1}
            await host(session, SETTLED, bytes([0xC0, 0]))
            await session.execute(SetGlobal("mute", False))
            assert session.state.wanted_rig == "loud"

    run(story())


def test_sound_has_no_gap_while_the_set_changes(library: Library) -> None:
    """A constant through a knob that was turned, with a host that plays on all the while: the
    copy that takes over has the same value from its first frame on."""
    write_sets(library)

    async def story() -> None:
        async with opened(library, threaded=True) as (session, ear):
            session.fill_bank()
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            await session.execute(SetParam("gain/gain_db", -7.0))
            await session.bank_filled()
            engine = await session.attach_host(RATE_HZ)
            heard_parts: list[Any] = []
            stop = asyncio.Event()

            async def play() -> None:
                while not stop.is_set():
                    # Square, so that the ceiling and the ear see a steady peak.
                    part = np.full(64, 0.1, np.float32)
                    heard_parts.append(await asyncio.to_thread(engine.process, part, 64))

            playing = asyncio.create_task(play())
            await asyncio.sleep(0.2)
            ear.events.clear()
            await session.execute(SelectSet("gig"))
            await ear.wait(lambda event: isinstance(event, Swapped))
            await asyncio.sleep(0.2)
            stop.set()
            await playing
            await session.detach_host()
            out = np.concatenate(heard_parts, axis=1)[0, SETTLED:]
            # Two equal voices under shares that sum to one: float rounding and no more.
            assert np.ptp(out) < 1e-6
            assert out[0] == pytest.approx(0.1 * 10 ** (-7 / 20), rel=1e-3)

    run(story())


def test_sets_are_stepped_round_and_empty_is_the_folder(library: Library) -> None:
    write_sets(library)

    async def story() -> None:
        async with opened(library) as (session, _):
            assert session.state.sets == ("", "gig", "solo")
            steps = [await session.execute(StepSet(step)) for step in (1, 1, 1, -1)]
            assert steps == ["gig", "solo", "", "solo"]
            assert [entry.program for entry in session.state.rigs] == [9]
            assert await session.execute(SelectSet("")) == ""
            assert [entry.name for entry in session.state.rigs] == ["clean", "drive", "loud"]
            text = await refusal(session, SelectSet("gog"))
            assert text == "set gog: there is gig."

    run(story())


def test_program_of_another_bank_brings_the_set_and_its_rig(library: Library) -> None:
    write_sets(library)

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await host(session, 128, bytes([0xB0, 32, 7]), bytes([0xC0, 9]))
            await session.execute(SetGlobal("mute", False))
            await ear.swap("drive")
            assert (session.state.set, session.state.wanted_rig) == ("solo", "drive")

    run(story())


@pytest.mark.parametrize(
    ("bank", "program", "words"),
    [
        (5, 0, "MIDI bank 5: there is no such set; the sets are 1 gig, 7 solo."),
        (7, 3, "MIDI bank 7 has no rig at program 3."),
    ],
)
def test_program_that_leads_nowhere_is_told(
    library: Library, bank: int, program: int, words: str
) -> None:
    write_sets(library)

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await host(session, 128, bytes([0xB0, 32, bank]), bytes([0xC0, program]))
            await session.execute(SetGlobal("mute", False))
            await ear.wait(lambda event: isinstance(event, Faulted) and event.text == words)
            assert session.state.last_error == words
            assert session.state.wanted_rig == "clean"

    run(story())


def test_set_whose_file_goes_gives_way_and_one_that_is_spoilt_stays(library: Library) -> None:
    write_sets(library)

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectSet("gig"))
            (library.sets_path / "gig.yaml").write_text("rigs: [\n")
            await session.files_changed()
            assert session.state.set == "gig"
            assert session.state.sets == ("", "gig", "solo")
            assert [entry.name for entry in session.state.rigs] == ["loud", "drive"]
            assert "gig.yaml" in session.state.last_error
            (library.sets_path / "gig.yaml").unlink()
            ear.events.clear()
            await session.files_changed()
            assert session.state.set == ""
            assert list(session.state.sets) == ["", "solo"]
            assert Change("set", "") in ear.events
            assert [entry.name for entry in session.state.rigs] == ["clean", "drive", "loud"]

    run(story())


# --- files that change --------------------------------------------------------------------------


def test_edited_rig_that_plays_fades_over_to_itself(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            ear.events.clear()
            (library.rigs_path / "clean.yaml").write_text(
                "program: 0\nchain: [{gain: {gain_db: -9}}]\nsnapshots: [{name: up, mix: 0.5}]\n"
            )
            await session.files_changed()
            swap = await ear.swap("clean")
            assert (swap.switch.source, swap.switch.method) == ("clean", "crossfade")
            assert session.value("gain/gain_db") == -9.0
            assert session.state.snapshots == ("up",)
            assert 20 * np.log10(await heard(session) / 0.05) == pytest.approx(-9.0, abs=0.3)

    run(story())


def test_a_foot_that_is_faster_than_an_edit_keeps_its_rig(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The foot goes on after the edited rig is built and before the engine is asked for it."""
    build = stock_module.Stock.build

    async def story() -> None:
        async def build_then_step(self: stock_module.Stock, slot: int, plan: Plan) -> bool:
            fresh = await build(self, slot, plan)
            await host(session, SETTLED, bytes([0xC0, 2]))
            return fresh

        async with opened(library) as (session, ear):
            await session.execute(SelectRig("loud"))
            await session.execute(SelectRig("clean"))
            await ear.swap("clean")
            ear.events.clear()
            monkeypatch.setattr(stock_module.Stock, "build", build_then_step)
            (library.rigs_path / "clean.yaml").write_text("program: 0\nchain: []\n")
            await session.files_changed()
            await ear.swap("loud")
            await host(session, SETTLED)
            assert (session.state.rig, session.state.wanted_rig) == ("loud", "loud")

    run(story())


@pytest.mark.parametrize("spoilt", ["program: 0\nmix: 7\n", "program: 0\nmix: [\n"])
def test_spoilt_edit_is_told_and_the_good_rig_plays_on(library: Library, spoilt: str) -> None:
    """One that cannot be built, and one that is not even YAML."""
    path = library.rigs_path / "clean.yaml"

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("clean"))
            await session.execute(SetParam("gain/gain_db", -7.0))
            before = await heard(session)
            path.write_text(spoilt)
            await session.files_changed()
            await ear.wait(lambda e: isinstance(e, Faulted) and e.rig == "clean")
            assert "clean.yaml" in session.state.last_error
            errors = {entry.name: entry.error for entry in session.state.rigs}
            assert errors["clean"] == session.state.last_error
            assert (session.state.rig, session.state.wanted_rig) == ("clean", "clean")
            assert await heard(session) == pytest.approx(before, rel=1e-6)
            path.write_text("program: 0\nchain: [{gain: {gain_db: 5}}]\n")
            await session.files_changed()
            assert {entry.name: entry.error for entry in session.state.rigs}["clean"] == ""
            assert session.value("gain/gain_db") == 5.0
            assert 20 * np.log10(await heard(session) / 0.05) == pytest.approx(5.0, abs=0.3)

    run(story())


def test_replaced_model_is_heard_without_a_command(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("drive"))
            before = await heard(session)
            write_model(library.find_model("tiny"), seed=9)
            await session.files_changed()
            assert await heard(session) != pytest.approx(before, rel=0.01)

    run(story())


def test_rig_files_come_and_go(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            session.fill_bank()
            await session.execute(SelectRig("loud"))
            await session.bank_filled()
            before = await heard(session)
            (library.rigs_path / "fresh.yaml").write_text("program: 40\n")
            (library.rigs_path / "loud.yaml").unlink()
            await session.files_changed()
            await session.bank_filled()
            rigs = {entry.name: (entry.program, entry.built) for entry in session.state.rigs}
            assert rigs == {"clean": (0, True), "drive": (1, True), "fresh": (40, True)}
            assert session.state.wanted_rig == "loud"
            assert await heard(session) == pytest.approx(before, rel=1e-6)
            ear.events.clear()
            await session.files_changed()
            assert not [event for event in ear.events if isinstance(event, Faulted)]
            await host(session, SETTLED, bytes([0xC0, 40]))
            await session.execute(SetGlobal("mute", False))
            assert session.state.wanted_rig == "fresh"

    run(story())


def test_rig_that_loses_file_and_model_at_once_plays_on(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("drive"))
            before = await heard(session)
            (library.rigs_path / "drive.yaml").unlink()
            library.find_model("tiny").unlink()
            (library.rigs_path / "fresh.yaml").write_text("program: 1\n")
            await session.files_changed()
            await ear.wait(lambda e: isinstance(e, Faulted) and "tiny.json" in e.text)
            assert session.state.wanted_rig == "drive"
            assert await heard(session) == pytest.approx(before, rel=1e-6)
            await session.bank_filled()
            assert await session.execute(SelectRig("fresh")) == "fresh"
            assert await heard(session) == pytest.approx(0.05, rel=0.05)

    run(story())


def test_edited_map_acts_and_keeps_what_the_player_turned(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "midi.yaml"

    async def story() -> None:
        async with opened(library, midi=MidiConfig(map=path)) as (session, _):
            await session.execute(SelectRig("clean"))
            await session.execute(SetParam("gain/gain_db", -7.0))
            path.write_text("bindings: [{control: 20, path: mix}]\n")
            await session.files_changed()
            assert session.value("gain/gain_db") == -7.0
            await host(session, SETTLED, bytes([0xB0, 20, 0]))
            await session.execute(SetGlobal("mute", False))
            assert (session.value("mix"), session.value("gain/gain_db")) == (0.0, -7.0)
            path.write_text("bindings: [\n")
            await session.files_changed()
            assert "midi.yaml" in session.state.last_error
            await host(session, SETTLED, bytes([0xB0, 20, 127]))
            await session.execute(SetGlobal("mute", False))
            assert session.value("mix") == 1.0

    run(story())


# --- levels -------------------------------------------------------------------------------------


async def loudness_lufs(session: Session) -> float:
    """Of what the host hears when the probe's guitar plays."""
    out = await host(session, signal=guitar_signal(RATE_HZ))
    return probe_loudness_lufs(out, RATE_HZ)


def test_normalized_rig_comes_out_at_the_target(library: Library, tmp_path: Path) -> None:
    levels = Levels("normalized", store=Store(tmp_path / "store"))

    async def story() -> None:
        async with opened(library, levels=levels) as (session, _):
            for name in ("clean", "drive"):
                await session.execute(SelectRig(name))
                await host(session, RATE_HZ)
                # 0.1 dB: the ceiling may touch a peak that the measurement let through.
                assert await loudness_lufs(session) == pytest.approx(TARGET_LUFS, abs=0.1)

    run(story())


def test_raw_rig_and_one_that_asks_for_raw_have_no_trim(library: Library, tmp_path: Path) -> None:
    (library.rigs_path / "own.yaml").write_text(
        "chain: [{gain: {gain_db: 3}}]\noutput: {level: raw}\n"
    )
    levels = Levels("normalized", store=Store(tmp_path / "store"))

    async def story() -> None:
        async with opened(library, levels=levels) as (session, _):
            await session.execute(SelectRig("own"))
            assert 20 * np.log10(await heard(session) / 0.05) == pytest.approx(3.0, abs=0.3)

    run(story())


def test_calibrated_rig_whose_model_says_nothing_warns(library: Library, tmp_path: Path) -> None:
    levels = Levels("calibrated", store=Store(tmp_path / "store"))

    async def story() -> None:
        async with opened(library, levels=levels) as (session, _):
            await session.execute(SelectRig("drive"))
            told = " ".join(session.state.warnings)
            assert "does not say input_level_dbu" in told
            assert "does not say output_level_dbu" in told

    run(story())
