"""The page of a phone that is not paired, and how it pairs, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is absent")

from ampd.control.gate import Gate
from ampd.library import Library
from ampd.pairing import Pairing
from tests.ampd.conftest import RIGS, Served, serving, write_model
from tests.e2e.browser import Page, need_browser


@pytest.fixture
def pairing(tmp_path: Path) -> Pairing:
    return Pairing(tmp_path / "ampd.token")


@pytest.fixture
def room(
    tmp_path: Path, pairing: Pairing, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Served, Page]]:
    """A daemon that takes this machine for one of the network, and a phone with no page yet."""
    need_browser()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "rigs").mkdir()
    for name, text in RIGS.items():
        (tmp_path / "rigs" / f"{name}.yaml").write_text(text)
    write_model(tmp_path / "models" / "tiny" / "tiny.json")
    library = Library(tmp_path / "rigs", tmp_path / "models")
    gate = Gate(["127.0.0.0/8"], pairing)
    with serving(library, gate) as served:
        monkeypatch.setattr(gate, "is_local", lambda _: False)
        gate._hosts.clear()
        page = Page(served.port)
        yield served, page
        page.close()


def is_off(page: Page, css: str) -> bool:
    return bool(page.run(f'return document.querySelector("{css}").disabled'))


def test_guest_sees_what_it_may_do_and_pairs_by_the_code(
    room: tuple[Served, Page], pairing: Pairing
) -> None:
    served, page = room
    page.open("#edit")
    page.until(lambda: page.find("#guest").is_displayed(), "it is said that this is a guest")
    assert "ampd page" in page.text("#guest")
    assert not page.find("nav [data-view=edit]").is_displayed()
    assert page.find("#stage").is_displayed()
    assert is_off(page, ".pad.bypass")
    assert is_off(page, ".pad.tap")
    page.find("[aria-label='next rig']").click()
    page.until(lambda: page.text("#stage h1") == "drive", "a guest switches")
    page.find(".pad.mute").click()
    page.until(lambda: served.session.state.globals["mute"], "a guest mutes")

    page.driver.get(f"{page.url}#pair=wrong")  # the same page: its address has changed
    page.until(lambda: "token" in page.text("#said"), "a wrong code is said")
    page.driver.get("about:blank")
    page.driver.get(f"{page.url}#pair={pairing.token}")
    page.until(lambda: page.text("#said") == "this browser is paired", "it is paired")
    page.until(lambda: page.find("nav [data-view=edit]").is_displayed(), "it may edit")
    assert not page.find("#guest").is_displayed()
    assert pairing.token not in str(page.run("return location.href + document.cookie"))
    page.run("document.querySelector('.pad.bypass').click()")  # what is said lies over it
    page.until(lambda: served.session.state.globals["bypass"], "and bypass")

    page.open()  # another visit shows the cookie
    assert not page.find("#guest").is_displayed()
    pairing.renew()
    page.open()
    page.until(lambda: page.find("#guest").is_displayed(), "another token makes a guest of it")
