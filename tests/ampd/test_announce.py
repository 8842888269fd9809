"""What zeroconf tells, heard by a browser of its own on the loopback."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from ampd.cli import main
from ampd.control.announce import Announcer, host_name, lan_addresses, page_address
from ampd.page_verb import qr_code
from ampd.pairing import Pairing
from tests.ampd.conftest import LIMIT_S, Served

LOOPBACK = "127.0.0.1"
PORT = 9010


async def heard(kinds: set[str]) -> dict[str, AsyncServiceInfo]:
    """What is announced of each kind, asked of the network."""
    found: dict[str, AsyncServiceInfo] = {}
    names: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def hear(zeroconf: Any, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Added:
            names.put_nowait((service_type, name))

    browser_socket = AsyncZeroconf(interfaces=[LOOPBACK])
    browser = AsyncServiceBrowser(browser_socket.zeroconf, sorted(kinds), handlers=[hear])
    try:
        async with asyncio.timeout(LIMIT_S):
            while found.keys() != kinds:
                kind, name = await names.get()
                info = AsyncServiceInfo(kind, name)
                if await info.async_request(browser_socket.zeroconf, 2000) and info.port == PORT:
                    found[kind] = info
    finally:
        await browser.async_cancel()
        await browser_socket.async_close()
    return found


def test_controllers_find_osc_and_oscquery_by_name() -> None:
    async def story() -> None:
        announcer = Announcer([LOOPBACK])
        await announcer.open(PORT)
        try:
            kinds = {"_osc._udp.local.", "_oscjson._tcp.local.", "_http._tcp.local."}
            for info in (await heard(kinds)).values():
                assert info.name.startswith("ampd ")
                assert info.parsed_addresses() == [LOOPBACK]
                assert info.server == f"{host_name()}."
        finally:
            await announcer.close()

    asyncio.run(story())


def test_without_a_network_there_is_a_warning_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        announcer = Announcer(["203.0.113.7"])  # an address that this machine does not have
        await announcer.open(PORT)
        await announcer.close()

    asyncio.run(story())
    assert "zeroconf" in caplog.text


def test_page_is_at_an_address_that_a_browser_opens() -> None:
    assert page_address("192.168.1.5", 9010) == "http://192.168.1.5:9010/"
    assert page_address("::1", 9010) == "http://[::1]:9010/"
    assert not [address for address in lan_addresses() if address.startswith("127.")]


def test_page_verb_says_who_can_open_it(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "ampd.toml"
    config.write_text("[control]\nlan = false\n")
    assert main(["page", "--config", str(config), "--port", str(served.port)]) == 0
    out = capsys.readouterr().out
    assert f"http://127.0.0.1:{served.port}/" in out
    assert "lan = true" in out


def test_page_verb_shows_a_code_that_pairs_phones(
    lan: Served,
    pairing: Pairing,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ampd.control.announce.lan_addresses", lambda: ["192.168.1.5"])
    config = tmp_path / "ampd.toml"
    config.write_text("[control]\nlan = true\n")
    assert main(["page", "--config", str(config), "--port", str(lan.port)]) == 0
    out = capsys.readouterr().out
    best = f"http://192.168.1.5:{lan.port}/#pair={pairing.token}\n"
    assert best in out
    assert f"http://{host_name()}:{lan.port}/#pair={pairing.token}\n" in out
    assert qr_code(best.strip()) in out


def test_pair_verb_shows_the_token_and_makes_another(
    lan: Served, pairing: Pairing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "ampd.toml"
    config.write_text("")
    argv = ["pair", "--config", str(config), "--port", str(lan.port)]
    old = pairing.token
    assert main(argv) == 0
    assert capsys.readouterr().out == f"{old}\n"
    assert main([*argv, "--new"]) == 0
    new = capsys.readouterr().out.strip()
    assert new != old
    assert Pairing(pairing.path).token == new


def test_daemon_without_a_network_has_no_token_to_show(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "ampd.toml"
    config.write_text("[control]\nlan = true\n")  # written after the daemon was started
    for verb in ("pair", "page"):
        assert main([verb, "--config", str(config), "--port", str(served.port)]) == 1
        assert "start it again" in capsys.readouterr().err


def test_page_verb_without_a_daemon_says_so(tmp_path: Path) -> None:
    config = tmp_path / "ampd.toml"
    config.write_text("")
    assert main(["page", "--config", str(config), "--port", "1"]) == 3
