"""The table against the daemon: every address is queried, set, clamped, refused and echoed."""

import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ampd.command import Query, parse
from ampd.control.machine import Machine, look
from ampd.control.params import (
    BY_PATH,
    FIXED,
    NORM,
    ROOT,
    Param,
    find,
    from_knob,
    read,
    rows,
    with_units,
)
from ampd.control.reference import replace_reference
from ampd.errors import CommandError
from ampd.state import Knob
from tests.ampd.conftest import Client, Served

FULL = """\
chain:
  - gate: {}
  - boost: {}
  - amp: {model: tiny}
  - eq: {}
  - cab: {}
  - delay: {}
  - reverb: {}
snapshots: [{name: soft, mix: 0.25}, {name: hard, mix: 0.75}]
"""
FLOAT = 2e-6  # values go through float32; so do positions on a log fader, of up to ten octaves


def knob(low: float, high: float, taper: str = "linear", switch: bool = False) -> Param:
    return from_knob("amp/x", Knob("dB", low, high, low, switch, "some text", taper))


@pytest.fixture
def board(served: Served) -> Iterator[tuple[Served, Client]]:
    """A rig with every block, and a client."""
    (served.library.rigs_path / "board.yaml").write_text(FULL)
    with served.client() as client:
        assert client.ask("/ampd/rig", "board") == ["/ampd/rig", ["board"]]
        yield served, client


def settable(served: Served) -> list[Param]:
    """The numbers and switches of the playing rig and the rack. The movers come last: they move
    others."""
    params = [param for param in rows(served.session.state) if param.is_number]
    assert len(params) > 50
    return sorted(params, key=lambda param: param.path in ("snapshot", "morph"))


def middle(param: Param) -> float:
    return 1.0 if param.taper == "toggle" else param.from_norm(0.5)


def as_number(value: Any) -> float:
    return float(value)


def test_every_fixed_address_is_one_that_the_parser_knows() -> None:
    for param in FIXED:
        if param.access == "r":
            assert parse(param.path, []) == Query(param.path)
        elif param.access == "w":
            assert parse(param.path, [0]) == Query(param.answers)
            assert parse(param.path, [1]) == parse(param.path, [])
        elif param.access == "call":
            parse(param.path, [])
    assert len(BY_PATH) == len(FIXED)


@pytest.mark.parametrize(
    ("param", "value", "position"),
    [
        (knob(-40, 40), 0.0, 0.5),
        (knob(-40, 40), -40.0, 0.0),
        (knob(-40, 40), 100.0, 1.0),
        (knob(20, 2000, "log"), 200.0, 0.5),
        (knob(20, 2000, "log"), 20.0, 0.0),
        (knob(20, 2000, "log"), 2000.0, 1.0),
        (knob(0, 1, switch=True), 1.0, 1.0),
    ],
)
def test_fader_stands_where_its_taper_puts_the_value(
    param: Param, value: float, position: float
) -> None:
    assert param.to_norm(value) == pytest.approx(position, abs=1e-12)


@pytest.mark.parametrize("param", [knob(-40, 40), knob(20, 20000, "log"), knob(0.1, 50, "log")])
def test_position_and_value_are_each_others_inverse(param: Param) -> None:
    for step in range(101):
        position = step / 100
        assert param.to_norm(param.from_norm(position)) == pytest.approx(position, abs=1e-9)
    assert param.from_norm(-1) == param.minimum
    assert param.from_norm(2) == pytest.approx(param.maximum, rel=1e-12)


def test_switch_is_on_from_the_middle_of_its_fader() -> None:
    switch = knob(0, 1, switch=True)
    assert [switch.from_norm(x) for x in (0, 0.49, 0.5, 1)] == [0, 0, 1, 1]


def test_range_is_written_with_its_unit() -> None:
    assert with_units(knob(-40, 40)) == "-40 to 40 dB"
    assert with_units(knob(0, 1, switch=True)) == "off or on"
    assert with_units(BY_PATH["rig"]) == ""


def test_every_number_is_queried_set_and_clamped(board: tuple[Served, Client]) -> None:
    served, client = board
    for param in settable(served):
        assert param.minimum is not None
        assert param.maximum is not None
        address, (before,) = client.ask(param.address)
        assert address == param.address
        assert param.minimum - FLOAT <= as_number(before) <= param.maximum * (1 + FLOAT)
        assert isinstance(before, bool) == (param.types == "T")
        if param.taper == "toggle":
            assert client.ask(param.address, 1)[1] == [1]
            assert client.ask(param.address, False)[1] == [0]
            continue
        value = middle(param)
        if param.path == "snapshot":
            value = round(value)
        for sent, accepted in (
            (value, value),
            (param.minimum - 1e3, param.minimum),
            (param.maximum + 1e5, param.maximum),
        ):
            address, (answer,) = client.ask(param.address, float(sent))
            assert address == param.address
            assert answer == pytest.approx(accepted, rel=FLOAT, abs=FLOAT)


def test_every_number_is_set_and_answered_on_a_faders_scale(board: tuple[Served, Client]) -> None:
    served, client = board
    for param in settable(served):
        if param.path == "snapshot":
            continue  # takes whole numbers only, so a fader stands where one of them is
        norm = param.address + NORM
        position = 1.0 if param.taper == "toggle" else 0.25
        address, (answer,) = client.ask(norm, position)
        assert address == norm
        assert answer == pytest.approx(position, abs=1e-5), param.path
        value = as_number(client.ask(param.address)[1][0])
        assert value == pytest.approx(param.from_norm(position), rel=FLOAT, abs=FLOAT)
        assert client.ask(norm)[1][0] == pytest.approx(position, abs=1e-5)


def test_every_address_refuses_the_wrong_type(board: tuple[Served, Client]) -> None:
    served, client = board
    for param in rows(served.session.state):
        if param.access == "event":
            continue
        takes_text = param.types == "s" or param.path in ("models", "irs")
        wrong: float | str = 7.5 if takes_text else "words"
        if param.path == "subscribe":
            wrong = "wo rds"
        address, arguments = client.ask(param.address, wrong)
        assert (address, arguments[0]) == ("/ampd/error", param.address)
        assert len(arguments[1]) > 20


def test_every_readable_address_answers_what_the_table_says(board: tuple[Served, Client]) -> None:
    served, client = board
    for param in rows(served.session.state):
        if param.access not in ("r", "rw"):
            continue
        address, arguments = client.ask(param.address)
        assert address == param.address
        kinds = {"f": float, "i": int, "s": str, "T": bool}
        if param.types == "s...":
            assert all(isinstance(each, str) for each in arguments)
        else:
            assert [type(each) for each in arguments] == [kinds[tag] for tag in param.types]


def test_every_change_of_a_number_is_told_to_a_subscriber(board: tuple[Served, Client]) -> None:
    served, client = board
    with served.client() as surface:
        surface.send("/ampd/subscribe")
        surface.until("/ampd/subscribe")
        for param in settable(served):
            if param.path in ("snapshot", "tuner"):
                continue
            value = middle(param)
            client.send(param.address, value)
            told = surface.until(param.address)[0]
            assert as_number(told) == pytest.approx(value, rel=FLOAT, abs=FLOAT)


def test_norm_of_what_has_no_scale_is_refused(served: Served) -> None:
    with served.client() as client:
        for path in ("rig", "jack", "rig/next", "status", "nosuch/gain_db"):
            address, arguments = client.ask(f"{ROOT}{path}{NORM}", 0.5)
            assert (address, arguments[0]) == ("/ampd/error", f"{ROOT}{path}{NORM}")


def test_value_sent_on_a_faders_scale_behind_a_rig_means_that_rig(served: Served) -> None:
    with served.client() as client:
        client.send("/ampd/rig", "drive")
        client.send("/ampd/amp/gain_db/norm", 1.0)
        assert client.until("/ampd/amp/gain_db/norm") == [1.0]
    assert served.session.state.wanted_rig == "drive"
    assert served.session.state.values["amp/gain_db"] == 40.0


def test_what_is_only_told_takes_nothing(served: Served) -> None:
    with served.client() as client:
        address, arguments = client.ask("/ampd/status/xruns", 3)
        assert (address, arguments[0]) == ("/ampd/error", "/ampd/status/xruns")
        assert client.ask("/ampd/status/xruns") == ["/ampd/status/xruns", [0]]


def test_unknown_path_is_not_in_the_table(served: Served) -> None:
    assert find(served.session.state, "amp/nosuch") is None
    assert find(served.session.state, "rig/norm") is None
    with pytest.raises(CommandError):
        served.session.value("amp/nosuch")


def test_every_row_of_a_rig_holds_a_value(served: Served) -> None:
    state = served.session.state
    for param in rows(state):
        value = read(param, state, Machine())
        assert (value is not None) == (param.access in ("r", "rw")), param.path
    status = read(BY_PATH["status"], state, Machine())
    assert status is not None
    assert json.loads(str(status[0]))["rig"] == "clean"


def test_heat_and_throttling_are_read_from_the_system(tmp_path: Any) -> None:
    assert look(Machine(), tmp_path) == Machine()
    for zone, text in ((0, "41500\n"), (1, "63250\n"), (2, "broken")):
        (tmp_path / f"class/thermal/thermal_zone{zone}").mkdir(parents=True)
        (tmp_path / f"class/thermal/thermal_zone{zone}/temp").write_text(text)
    flags = tmp_path / "devices/platform/soc/soc:firmware"
    flags.mkdir(parents=True)
    (flags / "get_throttled").write_text("50000\n")  # it was throttled once, and is not now
    assert look(Machine(), tmp_path) == Machine(63.2, False, 0)
    (flags / "get_throttled").write_text("50004\n")
    assert look(Machine(), tmp_path).is_throttled


def test_throttle_count_that_grows_is_throttling(tmp_path: Any) -> None:
    core = tmp_path / "devices/system/cpu/cpu0/thermal_throttle"
    core.mkdir(parents=True)
    (core / "core_throttle_count").write_text("5")
    first = look(Machine(), tmp_path)
    assert (first.is_throttled, first.throttle_count) == (False, 5)
    (core / "core_throttle_count").write_text("6")
    assert look(first, tmp_path).is_throttled


@pytest.mark.skipif(shutil.which("oscsend") is None, reason="oscsend (liblo-tools) is absent")
def test_liblo_moves_every_number(board: tuple[Served, Client]) -> None:
    served, client = board
    client.send("/ampd/subscribe")
    client.until("/ampd/subscribe")
    for param in settable(served):
        if param.path in ("snapshot", "tuner"):
            continue
        value = middle(param)
        argv = ["oscsend", "127.0.0.1", str(served.port), param.address, "f", f"{value:.6g}"]
        subprocess.run(argv, check=True, timeout=10)
        told = as_number(client.until(param.address)[0])
        assert math.isclose(told, value, rel_tol=1e-4, abs_tol=1e-4)


README = Path(__file__).resolve().parents[2] / "ampd" / "control" / "README.md"


def test_reference_in_the_readme_is_the_table(board: tuple[Served, Client]) -> None:
    """AMPD_WRITE_README=1 writes it anew."""
    served, _ = board
    text = README.read_text(encoding="utf-8")
    wanted = replace_reference(text, served.session.state)
    if os.environ.get("AMPD_WRITE_README"):
        README.write_text(wanted, encoding="utf-8")
    assert text == wanted
