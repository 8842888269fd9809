"""What outlives the daemon, and its form on disk: whatever is wrong with the bytes is noticed."""

import json
import os
import random
import zlib
from dataclasses import asdict, replace
from typing import Any

import pytest

from ampd.command import ChooseFile, SelectRig, SetGlobal, SetParam
from ampd.errors import StateError
from ampd.kept import MAX_BYTES, Kept, decode, encode
from ampd.library import Library
from ampd.places import boot_id
from tests.ampd.conftest import opened, run, write_model

KEPT = Kept(
    rig="drive",
    values={"amp/gain_db": -3.4000000953674316, "mix": 0.5},
    files={"amp/model": "tiny"},
    set="gig",
    globals={"bypass": False, "mute": True, "tempo_bpm": 97.5},
    boot="8a5b",
)


def sealed(body: bytes, version: int = 1) -> bytes:
    """A state file of this body whose checksum is right, by its description alone."""
    mark = b"ampd-state %d" % version
    return mark + b" %08x %d\n" % (zlib.crc32(mark + body), len(body)) + body + b"\n"


def test_state_comes_back_as_it_was() -> None:
    assert decode(encode(KEPT)) == KEPT


def test_file_begins_with_its_version_and_holds_one_line_of_json() -> None:
    data = encode(KEPT)
    assert data.startswith(b"ampd-state 1 ")
    body = data.split(b"\n")[1]
    assert json.loads(body) == json.loads(json.dumps(asdict(KEPT)))
    assert data == sealed(body)


def test_every_truncation_is_noticed() -> None:
    data = encode(KEPT)
    for length in range(len(data)):
        with pytest.raises(StateError):
            decode(data[:length])


def test_every_flipped_bit_is_noticed() -> None:
    data = encode(KEPT)
    for bit in range(8 * len(data)):
        spoilt = bytearray(data)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StateError):
            decode(bytes(spoilt))


def test_every_longer_file_is_noticed() -> None:
    for tail in (b"\n", b" ", b"\0" * 512, encode(KEPT)):
        with pytest.raises(StateError, match="spoilt"):
            decode(encode(KEPT) + tail)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rig": "../etc/passwd"}, "no name"),
        ({"rig": ""}, "no name"),
        ({"set": "a/b"}, "no name"),
        ({"model": "relative.nam"}, "no absolute path"),
        ({"values": {"mix": float("inf")}}, "inf is no number"),
        ({"values": {"mix": "1"}}, "'1' is no number"),
        ({"values": {"mix": True}}, "True is no number"),
        ({"values": []}, "does not hold a state"),
        ({"files": {"amp/model": 3}}, "a text is none"),
        ({"globals": {"tempo_bpm": float("nan")}}, "nan is no number"),
        ({"boot": "x" * 5000}, "a text is none"),
        ({"values": {"mix": 10**400}}, "OverflowError"),
    ],
)
def test_content_is_checked_although_its_checksum_is_right(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(StateError, match=words):
        decode(sealed(json.dumps(asdict(KEPT) | changes).encode()))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_no_body_is_an_exception_of_python(body: bytes) -> None:
    with pytest.raises(StateError, match="does not hold a state"):
        decode(sealed(body))


JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        10**400,
        1e308,
        float("nan"),
        float("-inf"),
        "",
        "a",
        "/",
        "\ud800",
        "x" * 9999,
    ),
    *([], {}, [[]], {"a": {}}, {"mute": "on"}, {"tempo_bpm": []}, {"": ""}, "clean", "/dev/zero"),
)


def test_no_content_is_an_exception_of_python() -> None:
    """AMPD_STATE_RUNS: how many contents, all with a checksum that is right."""
    chance = random.Random(8)
    good = json.dumps(asdict(KEPT)).encode()
    played = 0
    for number in range(int(os.environ.get("AMPD_STATE_RUNS", "20000"))):
        if number % 2:
            document = asdict(KEPT)
            for _ in range(chance.randint(1, 3)):
                junk = chance.choice(JUNK)
                inner = {chance.choice(("mix", "tempo_bpm", "mute")): junk}
                place = chance.choice([*document, "more"])
                document[place] = chance.choice((junk, inner))
            body = json.dumps(document).encode()
        else:
            spoilt = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(spoilt))
                spoilt[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
            body = bytes(spoilt)
        try:
            kept = decode(sealed(body))
        except StateError:
            continue
        assert decode(encode(kept)) == kept
        played += 1
    assert played > 0


def test_another_version_is_said() -> None:
    with pytest.raises(StateError, match="is of version 2, not 1"):
        decode(sealed(b"{}", version=2))


def test_what_a_newer_ampd_keeps_besides_is_left_out() -> None:
    more = asdict(KEPT) | {"lights": "on", "globals": {**KEPT.globals, "reverb_send": 1}}
    assert decode(sealed(json.dumps(more).encode())) == KEPT


def test_mute_and_tuner_outlive_the_daemon_but_no_power_switch() -> None:
    muted = replace(KEPT, globals={"mute": True, "tuner": True, "bypass": True})
    assert muted.after_boot("8a5b") == muted
    assert muted.after_boot("other").globals == {"bypass": True}
    assert boot_id() == boot_id() != ""


def test_only_what_is_not_the_rigs_own_is_kept(library: Library) -> None:
    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("drive"))
            await ear.swap("drive")
            untouched = session.kept()
            assert untouched is not None
            assert (untouched.rig, untouched.values, untouched.files) == ("drive", {}, {})
            await session.execute(SetParam("amp/gain_db", 1.5))
            await session.execute(SetGlobal("master_db", -6.0))
            kept = session.kept()
            assert kept is not None
            assert (kept.values, kept.globals["master_db"]) == ({"amp/gain_db": 1.5}, -6.0)
            assert decode(encode(kept)) == kept

    run(story())


def test_a_snapshot_keeps_all_values_for_it_moves_them(library: Library) -> None:
    text = "chain:\n  - gain: {gain_db: 3}\nsnapshots:\n  - {name: low, gain/gain_db: -9}\n"
    (library.rigs_path / "two.yaml").write_text(text)

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("two"))
            await ear.swap("two")
            await session.execute(SetParam("snapshot", 1))
            await session.execute(SetParam("gain/gain_db", 3.0))
            kept = session.kept()
            assert kept is not None
            assert kept.values["snapshot"] == 1.0
            assert kept.values["gain/gain_db"] == 3.0

    run(story())


def test_chosen_files_and_a_bare_model_are_kept_and_dry_is_not(library: Library) -> None:
    write_model(library.models_path / "other" / "other.json", seed=2)

    path = library.find_model("tiny")

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.play_dry()
            assert session.kept() is None
            await session.execute(SelectRig("drive"))
            await ear.swap("drive")
            await session.execute(ChooseFile("amp/model", "other"))
            kept = session.kept()
            assert kept is not None
            assert (kept.files, kept.model) == ({"amp/model": "other"}, "")
            await session.play_model(path)
            kept = session.kept()
            assert kept is not None
            assert (kept.rig, kept.files, kept.model) == ("tiny", {}, str(path))

    run(story())


def test_no_state_that_a_rack_can_have_is_too_large() -> None:
    # 16 blocks of 32 knobs with the longest names and numbers that there are.
    values = {
        f"{'b' * 17}{b:x}/{'k' * 31}{k:x}": -1.2345678901234567e-300
        for b in range(16)
        for k in range(32)
    }
    assert len(encode(replace(KEPT, values=values))) < MAX_BYTES
