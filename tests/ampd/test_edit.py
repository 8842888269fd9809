"""A rig changed while it plays, heard, and kept."""

import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from ampd.command import ChooseFile, SelectRig, SetParam
from ampd.edit import as_heard, with_file, write_new
from ampd.errors import CommandError, LibraryError
from ampd.library import Library
from ampd.rig import Rig, RigBlock, parse_rig, to_yaml
from tests.ampd.conftest import LIMIT_S, RATE_HZ, Served, heard, opened, refusal, run, write_model

RIG = Rig(
    "board",
    3,
    {"mix": 0.5},
    (
        RigBlock("amp", "amp", {"gain_db": 3.0}, "tiny"),
        RigBlock("cab", "cab", {}, impulse="green"),
    ),
)
DEFAULTS = {"mix": 1.0, "amp/gain_db": 0.0, "amp/level_db": 0.0, "cab/low_cut_hz": 20.0}


def test_block_reads_another_file_and_all_else_stays() -> None:
    changed = with_file(RIG, "amp/model", "other")
    assert changed.blocks[0].model == "other"
    assert changed.blocks[0].values == RIG.blocks[0].values
    assert (changed.blocks[1], changed.values, changed.name) == (RIG.blocks[1], RIG.values, "board")
    assert with_file(RIG, "cab/impulse", "").blocks[1].impulse == ""


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [
        ("amp2/model", "x", "there is amp/model, cab/impulse"),
        ("amp/impulse", "x", "no such address"),
        ("amp/model", "", "expected the name of a model"),
    ],
)
def test_what_reads_no_file_is_refused(path: str, name: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        with_file(RIG, path, name)


def test_rig_as_heard_has_what_was_turned_and_leaves_out_what_is_usual() -> None:
    values = {
        "mix": 1.0,  # back at its default, but the file has it
        "snapshot": 1.0,
        "amp/gain_db": 6.100000381469727,  # as float32 gives 6.1 back
        "amp/level_db": 0.0,
        "cab/low_cut_hz": 80.0,
    }
    kept = as_heard(RIG, values, {**DEFAULTS, "snapshot": 0.0}, "mine")
    assert (kept.name, kept.program, kept.values) == ("mine", None, {"mix": 1.0})
    assert kept.blocks[0].values == {"gain_db": 6.1}
    assert kept.blocks[1].values == {"low_cut_hz": 80.0}
    assert parse_rig(to_yaml(kept).encode(), "mine").blocks == kept.blocks


def test_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    path = write_new(tmp_path / "rigs", RIG)
    before = path.read_bytes()
    with pytest.raises(LibraryError, match="choose another name"):
        write_new(tmp_path / "rigs", Rig("board"))
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../x", "a/b", "..", "a b", "x" * 65])
def test_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LibraryError, match="is not a rig name"):
        write_new(tmp_path, Rig(name))
    assert list(tmp_path.iterdir()) == []


def test_another_model_is_heard_what_was_turned_stays_and_the_rig_comes_back(
    library: Library,
) -> None:
    write_model(library.models_path / "other" / "other.json", seed=5)

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("drive"))
            await ear.swap("drive")
            await session.execute(SetParam("amp/level_db", -9.0))
            before = await heard(session)
            assert await session.execute(ChooseFile("amp/model", "other")) == "other"
            after = await heard(session)
            assert session.state.files == {"amp/model": "other"}
            await session.execute(SetParam("mix", 1.0))  # reports are taken over with an answer
            assert session.state.values["amp/level_db"] == -9.0
            assert abs(after / before - 1.0) > 0.05  # another net of random weights
            await session.execute(SelectRig("drive"))
            assert session.state.files == {"amp/model": "tiny"}
            await session.execute(SetParam("amp/level_db", -9.0))
            assert await heard(session) == pytest.approx(before, rel=1e-5)

    run(story())


def test_model_that_is_not_there_is_said_and_the_rig_plays_on(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("drive"))
            await ear.swap("drive")
            text = await refusal(session, ChooseFile("amp/model", "nosuch"))
            assert "nosuch" in text
            assert "tiny" in text
            assert session.state.files == {"amp/model": "tiny"}

    run(story())


def test_edited_rig_outlives_a_host_of_another_rate(library: Library) -> None:
    write_model(library.models_path / "other" / "other.json", seed=5)

    async def story() -> None:
        async with opened(library) as (session, _):
            await session.execute(SelectRig("drive"))
            await session.execute(ChooseFile("amp/model", "other"))
            await session.attach_host(2 * RATE_HZ)
            await session.detach_host()
            assert session.state.files == {"amp/model": "other"}

    run(story())


def test_saved_rig_sounds_as_what_was_saved(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("drive"))
            await ear.swap("drive")
            await session.execute(SetParam("amp/gain_db", 1.5))
            await session.execute(SetParam("output/gain_db", -4.0))
            before = await heard(session)
            assert await session.save_rig("mine") == "mine"
            assert "mine" in [entry.name for entry in session.state.rigs]
            await session.execute(SelectRig("mine"))
            assert session.state.values["amp/gain_db"] == 1.5
            assert await heard(session) == pytest.approx(before, rel=1e-5)
            with pytest.raises(LibraryError, match="choose another name"):
                await session.save_rig("drive")

    run(story())


def test_files_are_found_and_chosen_over_osc(served: Served) -> None:
    write_model(served.library.models_path / "tinker" / "tinker.json", seed=5)
    with served.client() as client:
        client.ask("/ampd/rig", "drive")
        while not json.loads(client.ask("/ampd/models")[1][0])["complete"]:
            pass
        found = json.loads(client.ask("/ampd/models", "KER")[1][0])
        assert [entry["name"] for entry in found["entries"]] == ["tinker"]
        assert client.ask("/ampd/amp/model") == ["/ampd/amp/model", ["tiny"]]
        assert client.ask("/ampd/amp/model", "tinker") == ["/ampd/amp/model", ["tinker"]]
        address, (at, _) = client.ask("/ampd/amp/model", "../tiny")
        assert (address, at) == ("/ampd/error", "/ampd/amp/model")
        assert client.ask("/ampd/amp/model") == ["/ampd/amp/model", ["tinker"]]


def post(served: Served, body: str, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=LIMIT_S)
    all_headers = {"Content-Type": "application/json", **headers}
    connection.request("POST", "/save", body=body, headers=all_headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_page_saves_a_rig(served: Served) -> None:
    assert post(served, '{"name": "mine"}') == (200, {"name": "mine"})
    assert (served.library.rigs_path / "mine.yaml").exists()
    status, answer = post(served, '{"name": "mine"}')
    assert status == 409
    assert "choose another name" in answer["error"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ('{"name": "mine"}', {"Origin": "http://evil.example"}, 403),
        ('{"name": "mine"}', {"Content-Type": "text/plain"}, 403),
        ("mine", {}, 400),
        ("[]", {}, 400),
        ('{"name": "../mine"}', {}, 409),
    ],
)
def test_save_from_elsewhere_or_of_nonsense_writes_nothing(
    served: Served, body: str, headers: dict[str, str], status: int
) -> None:
    before = sorted(served.library.rigs_path.iterdir())
    assert post(served, body, **headers)[0] == status
    assert sorted(served.library.rigs_path.iterdir()) == before
