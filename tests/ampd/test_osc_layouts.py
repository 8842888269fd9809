"""The generated surfaces: every widget's address exists and answers, and has the table's range."""

import json
import re
import stat
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ampd.cli import main
from ampd.control.params import BY_PATH, find, rows
from ampd.pairing import Pairing
from tests.ampd.conftest import Client, Served

BOARD = "chain:\n  - gate: {}\n  - amp: {model: tiny}\n  - eq: {}\n  - delay: {}\n"
NO_CONFIG = "[osc]\nport = 9010\n"


@pytest.fixture
def surfaces(served: Served, tmp_path: Path) -> Path:
    """What `ampd layouts` writes for a board."""
    (served.library.rigs_path / "board.yaml").write_text(BOARD)
    with served.client() as client:
        client.ask("/ampd/rig", "board")
    config = tmp_path / "ampd.toml"
    config.write_text(NO_CONFIG)
    argv = ["layouts", str(tmp_path / "out"), "--config", str(config), "--port", str(served.port)]
    assert main(argv) == 0
    return tmp_path / "out"


def stage_widgets(folder: Path) -> list[dict[str, Any]]:
    session = json.loads((folder / "ampd.json").read_text())
    assert session["type"] == "session"
    return [widget for widget in session["content"]["widgets"] if "address" in widget]


def touch_nodes(folder: Path) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(zlib.decompress((folder / "ampd.tosc").read_bytes()))
    assert root.tag == "lexml"
    return [node for node in root.iter("node") if node.find("messages") is not None]


def address_of(node: ElementTree.Element) -> str:
    found = node.findtext("messages/osc/path/partial/value")
    assert found is not None
    return found


def answers(client: Client, address: str) -> None:
    """Asked for its value it gives one; a button is let go, which does nothing, but is known."""
    if BY_PATH.get(address.removeprefix("/ampd/"), BY_PATH["rig"]).access == "w":
        client.send(address, 0.0)
        found, arguments = client.receive()
        assert found != "/ampd/error", arguments
    else:
        found, arguments = client.ask(address)
        assert found == address, arguments


def test_every_address_of_open_stage_control_answers(served: Served, surfaces: Path) -> None:
    found = stage_widgets(surfaces)
    assert len(found) > 40
    with served.client() as client:
        for widget in found:
            answers(client, widget["address"])


def test_every_address_of_touch_osc_answers(served: Served, surfaces: Path) -> None:
    found = touch_nodes(surfaces)
    assert len(found) > 40
    with served.client() as client:
        for node in found:
            answers(client, address_of(node))


def test_faders_of_open_stage_control_have_the_tables_range(served: Served, surfaces: Path) -> None:
    faders = [widget for widget in stage_widgets(surfaces) if widget["type"] == "fader"]
    for widget in faders:
        param = find(served.session.state, widget["address"].removeprefix("/ampd/"))
        assert param is not None
        assert widget["range"] == {"min": param.minimum, "max": param.maximum}
        assert widget["default"] == param.default


def test_every_number_has_its_widget(served: Served, surfaces: Path) -> None:
    wanted = {param.address for param in rows(served.session.state) if param.is_number}
    stage = {widget["address"].removesuffix("/norm") for widget in stage_widgets(surfaces)}
    touch = {address_of(node).removesuffix("/norm") for node in touch_nodes(surfaces)}
    assert wanted <= stage
    assert wanted <= touch


def test_switch_of_open_stage_control_hears_itself_as_0_and_1(
    served: Served, surfaces: Path
) -> None:
    switches = [widget for widget in stage_widgets(surfaces) if widget.get("mode") == "toggle"]
    assert any(widget["address"] == "/ampd/bypass/norm" for widget in switches)
    with served.client() as client:
        for widget in switches:
            assert client.ask(widget["address"], 1.0) == [widget["address"], [widget["on"]]]
            assert client.ask(widget["address"], 0.0) == [widget["address"], [widget["off"]]]


def test_surfaces_subscribe_by_themselves(served: Served, surfaces: Path) -> None:
    session = json.loads((surfaces / "ampd.json").read_text())
    patterns = re.findall(r"value: '([^']+)'", session["content"]["onCreate"])
    script = zlib.decompress((surfaces / "ampd.tosc").read_bytes()).decode()
    patterns += re.findall(r"tag = 's', value = '([^']+)'", script)
    assert patterns == ["/ampd/*", "/ampd/*/norm", "/ampd/*/norm", "/ampd/rig"]
    with served.client() as client:
        for pattern in patterns:
            client.send("/ampd/subscribe", pattern)
            client.until("/ampd/subscribe")


def test_paired_surfaces_turn_knobs_from_the_network(
    lan: Served, pairing: Pairing, tmp_path: Path
) -> None:
    config = tmp_path / "ampd.toml"
    config.write_text(NO_CONFIG)
    argv = ["layouts", str(tmp_path), "--paired", "--config", str(config), "--port", str(lan.port)]
    assert main(argv) == 0
    root = f"/ampd/{pairing.token}/"
    addresses = [widget["address"] for widget in stage_widgets(tmp_path)]
    addresses += [address_of(node) for node in touch_nodes(tmp_path)]
    assert len(addresses) > 30
    assert all(address.startswith(root) for address in addresses)
    assert f"send('{root}subscribe'" in (tmp_path / "ampd.json").read_text()
    assert f"'{root}subscribe'" in zlib.decompress((tmp_path / "ampd.tosc").read_bytes()).decode()
    with lan.client("127.0.0.2") as client:
        for address in (f"{root}mix/norm", f"{root}gain/gain_db/norm"):
            assert address in addresses
            assert client.ask(address, 0.5) == [address, [0.5]]
    assert stat.S_IMODE((tmp_path / "ampd.tosc").stat().st_mode) == 0o600


def test_widgets_do_not_lie_on_each_other(surfaces: Path) -> None:
    frames = [
        (w["left"], w["top"], w["left"] + w["width"], w["top"] + w["height"])
        for w in stage_widgets(surfaces)
    ]
    for index, (left, top, right, bottom) in enumerate(frames):
        for other in frames[:index]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart


def test_same_rig_gives_the_same_files(served: Served, surfaces: Path, tmp_path: Path) -> None:
    config = tmp_path / "ampd.toml"
    again = tmp_path / "again"
    argv = ["layouts", str(again), "--config", str(config), "--port", str(served.port)]
    assert main(argv) == 0
    for name in ("ampd.json", "ampd.tosc"):
        assert (again / name).read_bytes() == (surfaces / name).read_bytes()


def test_folder_that_cannot_be_written_is_said(served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = tmp_path / "ampd.toml"
    config.write_text(NO_CONFIG)
    argv = ["layouts", str(tmp_path / "file"), "--config", str(config)]
    assert main([*argv, "--port", str(served.port)]) == 1
