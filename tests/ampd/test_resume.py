"""The start: there is always a sound, the best that what is kept allows."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ampd.command import ChooseFile, SelectRig, SelectSet, SetGlobal, SetParam
from ampd.errors import AmpdError
from ampd.generations import Generations
from ampd.kept import Kept, encode
from ampd.library import Library
from ampd.resume import first_sound, resume
from tests.ampd.conftest import heard, opened, run, write_model

KEPT = Kept("drive", {"amp/gain_db": -4.0}, globals={"master_db": -6.0, "bypass": False})
SNAPSHOTS = """chain:
  - gain: {gain_db: 3}
  - amp: {model: tiny}
snapshots:
  - {name: low, gain/gain_db: -9}
  - {name: high, gain/gain_db: 9, amp/gain_db: 2}
"""


@pytest.fixture
def files(tmp_path: Path) -> Generations:
    return Generations(tmp_path / "state", "ampd")


def test_what_was_left_is_heard_again_sample_for_sample(library: Library) -> None:
    write_model(library.models_path / "other" / "other.json", seed=2)
    (library.rigs_path / "two.yaml").write_text(SNAPSHOTS)
    (library.rigs_path / "sets").mkdir()
    (library.rigs_path / "sets" / "gig.yaml").write_text("rigs: [two, clean]\n")

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectSet("gig"))
            await session.execute(SelectRig("two"))
            await ear.swap("two")
            await session.execute(ChooseFile("amp/model", "other"))
            await session.execute(SetParam("snapshot", 2))
            await session.execute(SetParam("gain/gain_db", 3.0))  # the rig's own, turned back
            await session.execute(SetParam("amp/gain_db", 1.25))
            await session.execute(SetGlobal("master_db", -4.5))
            await session.execute(SetGlobal("tempo_bpm", 93.0))
            kept, level, left = session.kept(), await heard(session), session.state
        assert kept is not None
        async with opened(library) as (session, ear):
            assert await resume(session, kept) == []
            await ear.swap("two")
            assert session.kept() == kept
            assert await heard(session) == level
            state = session.state
            assert (state.set, state.files, state.values) == (left.set, left.files, left.values)
            assert state.globals == left.globals

    run(story())


def test_a_bare_model_plays_again(library: Library) -> None:
    path = library.find_model("tiny")

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.play_model(path)
            await ear.swap("tiny")
            await session.execute(SetParam("amp/gain_db", 2.0))
            kept = session.kept()
        assert kept is not None
        async with opened(library) as (session, ear):
            assert await resume(session, kept) == []
            await ear.swap("tiny")
            assert session.kept() == kept

    run(story())


def test_what_is_gone_is_told_and_the_rest_is_as_it_was_left(library: Library) -> None:
    kept = replace(
        KEPT,
        set="gone",
        files={"amp/model": "gone"},
        values={"amp/gain_db": -4.0, "chorus/rate_hz": 1.0},
    )

    async def story() -> None:
        async with opened(library) as (session, ear):
            notes = await resume(session, kept)
            await ear.swap("drive")
            assert [any(word in n for n in notes) for word in ("set gone", "amp/model")] == [
                True
            ] * 2
            assert notes[-1] == "chorus/rate_hz: rig drive has no such knob any more."
            assert session.state.values["amp/gain_db"] == -4.0
            assert session.state.globals["master_db"] == -6.0
            assert (session.state.set, session.state.files) == ("", {"amp/model": "tiny"})

    run(story())


def test_a_rig_that_cannot_be_built_is_an_error(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, _):
            with pytest.raises(AmpdError, match="no rig gone"):
                await resume(session, replace(KEPT, rig="gone"))

    run(story())


def test_a_power_switch_ends_the_mute_and_a_crash_does_not(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            muted = replace(KEPT, globals={"mute": True}, boot=session.boot)
            await resume(session, muted)
            await ear.swap("drive")
            assert session.state.globals["mute"] is True
        async with opened(library) as (session, ear):
            await resume(session, replace(muted, boot="the one before"))
            await ear.swap("drive")
            assert session.state.globals["mute"] is False
            assert await heard(session) > 0.0

    run(story())


def started(library: Library, files: Generations, start_rig: str = "clean") -> tuple[str, float]:
    """The rig that a start plays, and its level."""
    found: list[tuple[str, float]] = []

    async def story() -> None:
        async with opened(library) as (session, ear):
            kept = await first_sound(session, files, start_rig)
            await ear.swap(session.state.wanted_rig)
            level = await heard(session)
            assert session.state.rig == session.state.wanted_rig
            assert kept == session.kept()
            found.append((session.state.rig, level))

    run(story())
    return found[0]


def test_the_newest_plays_then_the_previous_then_the_configured_then_dry(
    library: Library, files: Generations, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files.write(replace(KEPT, rig="loud", values={}))
    files.write(KEPT)
    assert started(library, files)[0] == "drive"
    (library.rigs_path / "drive.yaml").write_text("chain: {")
    caplog.clear()
    assert started(library, files)[0] == "loud"
    assert f"{files.newest}" in caplog.text
    assert "Trying the generation before it." in caplog.text
    (library.rigs_path / "loud.yaml").unlink()
    caplog.clear()
    assert started(library, files)[0] == "clean"
    assert f"{files.previous}" in caplog.text
    assert "Trying the configured rig." in caplog.text
    caplog.clear()
    assert started(library, files, "gone")[0] == "dry"
    assert "plays dry instead" in caplog.text


def test_nothing_kept_is_the_configured_rig_without_a_word(
    library: Library, files: Generations, caplog: pytest.LogCaptureFixture
) -> None:
    assert started(library, files)[0] == "clean"
    assert caplog.text == ""


def spoil(files: Generations, how: str) -> None:
    data = encode(KEPT)
    place = files.newest
    place.unlink(missing_ok=True)
    match how:
        case "folder":
            place.mkdir()
        case "pipe":
            os.mkfifo(place)
        case "endless":
            place.symlink_to("/dev/zero")
        case "empty":
            place.write_bytes(b"")
        case "flipped":
            place.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        case "newer":
            place.write_bytes(data.replace(b"ampd-state 1", b"ampd-state 2", 1))
        case "loop":
            place.symlink_to(place)
        case _:
            place.write_bytes(data[: int(how)])


HOWS = ("folder", "pipe", "endless", "empty", "flipped", "newer", "loop", "1", "40", "-1")


@pytest.mark.parametrize("how", HOWS)
def test_a_spoilt_newest_gives_way_to_the_previous(
    library: Library, files: Generations, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    files.write(replace(KEPT, rig="loud", values={}))
    files.write(KEPT)
    spoil(files, how)
    name, level = started(library, files)
    assert name == "loud"
    assert level > 0.0
    assert str(files.newest) in caplog.text


def test_with_both_spoilt_the_configured_rig_plays(library: Library, files: Generations) -> None:
    files.write(KEPT)
    files.write(KEPT)
    for place in (files.newest, files.previous):
        place.write_bytes(place.read_bytes()[:-3])
    name, level = started(library, files)
    assert name == "clean"
    assert level > 0.0


def test_a_fault_of_our_own_is_no_silence(
    library: Library,
    files: Generations,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    files.write(KEPT)

    async def broken(*_: object) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr("ampd.resume.resume", broken)
    assert started(library, files)[0] == "clean"
    assert "the start stumbled" in caplog.text
