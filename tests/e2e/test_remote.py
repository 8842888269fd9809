"""The page in a real browser, against a daemon of its own that waits for a server."""

import json
import sys
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("selenium", reason="selenium is absent")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.demo.osc import Osc
from tests.demo.stage import Daemon, Stage
from tests.e2e.browser import TABLET, Page, need_browser
from tests.e2e.rack import write_library

RIGS = {
    "first": "program: 0\nchain:\n  - gain: {gain_db: 3}\n  - delay: {bypass: true}\n",
    "second": "program: 1\nchain:\n  - gain: {gain_db: -3}\n",
    "shots": "program: 2\nchain: [gain: {}]\n"
    "snapshots: [{name: soft, gain/gain_db: -9}, {name: hard, gain/gain_db: 9}]\n",
}
LONG = "ambient-shimmer-of-the-north"
RIGS[LONG] = "program: 5\nchain: [gain: {}]\nsnapshots: [{name: a}, {name: b}]\n"
RIGS["net"] = "program: 4\nchain: [amp: {model: tiny}]\n"
RIGS["typo"] = "program: 3\nchain: [gain: {gian_db: 1}]\n"
HERE = {"rigs": '"rigs"', "models": '"models"', "server_name": '"nobody"'}
MAX_BYTES = 300_000
GAIN = ".fader[data-path='gain/gain_db']"

Opener = Callable[..., Page]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Daemon]]:
    """A daemon with three rigs, and no JACK."""
    need_browser()
    folder = tmp_path_factory.mktemp("remote")
    with Stage(folder, server_name="nobody") as stage:
        write_library(folder, RIGS)
        tiny = folder / "models" / "tiny" / "tiny.json"
        (folder / "models" / "other.json").write_text(tiny.read_text())
        yield stage, start(stage)


def start(stage: Stage, port: int = 0) -> Daemon:
    program = (sys.executable, "-m", "ampd.cli")
    daemon = stage.start_daemon("--rig", "first", settings=HERE, port=port, program=program)
    daemon.osc().__exit__(None, None, None)
    return daemon


@pytest.fixture
def osc(world: tuple[Stage, Daemon]) -> Iterator[Osc]:
    """A conversation with the daemon, which plays the rig first as its file has it."""
    with world[1].osc() as osc:
        for address in ("/ampd/bypass", "/ampd/mute", "/ampd/tuner"):
            osc.ask(address, False)
        osc.ask("/ampd/rig", "first")
        osc.ask("/ampd/gain/gain_db", 3.0)
        yield osc


@pytest.fixture(scope="module")
def idle(world: tuple[Stage, Daemon]) -> Iterator[list[Page]]:
    """Browsers that no test has."""
    pages: list[Page] = []
    yield pages
    for page in pages:
        page.close()


@pytest.fixture
def open_page(world: tuple[Stage, Daemon], idle: list[Page]) -> Iterator[Opener]:
    pages: list[Page] = []

    def open_(view: str = "", size: tuple[int, int] = (360, 740)) -> Page:
        pages.append(idle.pop() if idle else Page(world[1].port))
        pages[-1].resize(size)
        pages[-1].open(view)
        return pages[-1]

    yield open_
    for page in pages:
        page.leave()
    idle += pages


def value(osc: Osc, path: str) -> object:
    return osc.ask(f"/ampd/{path}").values[0]


def test_first_visit_is_small_quiet_and_asks_nobody_else(
    world: tuple[Stage, Daemon], osc: Osc
) -> None:
    page = Page(world[1].port)
    try:
        page.open()
        own = page.url.removeprefix("http://")
        assert [url for url in page.requests() if own not in url and "data:" not in url] == []
        size = page.run(
            "return performance.getEntries().reduce((n, e) => n + (e.encodedBodySize || 0), 0)"
        )
        assert 10_000 < size < MAX_BYTES
        assert page.console() == []
    finally:
        page.close()


def test_stage_shows_the_rig_and_steps(osc: Osc, open_page: Opener) -> None:
    page = open_page()
    assert page.text("#stage h1") == "first"
    page.find("[aria-label='next rig']").click()
    page.until(lambda: page.text("#stage h1") == "second", "the next rig is shown")
    assert value(osc, "rig") == "second"
    page.find("[aria-label='previous rig']").click()
    page.until(lambda: page.text("#stage h1") == "first", "the rig before is shown")


def test_name_is_as_large_as_the_display(osc: Osc, open_page: Opener) -> None:
    page = open_page()
    width, room = page.run(
        "const h = document.querySelector('#stage h1');"
        "return [h.getBoundingClientRect().width, h.parentElement.clientWidth]"
    )
    assert 0.6 * room < width <= room


def test_long_name_is_all_there(osc: Osc, open_page: Opener) -> None:
    osc.ask("/ampd/rig", LONG)
    page = open_page()
    page.until(lambda: page.text("#stage h1") == LONG, "the long name is shown")
    page.until(lambda: page.text(".snapshot"), "its snapshots take their room")
    time.sleep(0.2)
    inside, size = page.run(
        "const h = document.querySelector('#stage h1'), p = h.parentElement;"
        "const [a, b] = [h.getBoundingClientRect(), p.getBoundingClientRect()];"
        "return [a.left >= b.left && a.right <= b.right && a.bottom <= b.bottom"
        " && h.scrollWidth <= h.clientWidth + 1, parseFloat(getComputedStyle(h).fontSize)]"
    )
    assert inside
    assert size >= 40


def test_switches_show_what_was_accepted(osc: Osc, open_page: Opener) -> None:
    page = open_page()
    for path in ("bypass", "mute", "tuner"):
        page.find(f".pad.{path}").click()
        page.until(
            lambda path=path: page.attribute(f".pad.{path}", "aria-pressed") == "true",  # type: ignore[misc]
            f"{path} is lit",
        )
        assert value(osc, path) is True
    osc.ask("/ampd/mute", False)
    page.until(lambda: page.attribute(".pad.mute", "aria-pressed") == "false", "mute goes out")


def test_snapshots_are_buttons_and_a_second_touch_leaves_them(osc: Osc, open_page: Opener) -> None:
    osc.ask("/ampd/rig", "shots")
    page = open_page()
    page.until(lambda: page.text(".snapshot:nth-child(2)") == "hard", "there are snapshots")
    page.find(".snapshot:nth-child(2)").click()
    lit = ".snapshot[aria-pressed=true]"
    page.until(lambda: page.run(f"return !!document.querySelector('{lit}')"), "it is lit")
    assert value(osc, "gain/gain_db") == 9.0
    page.find(".snapshot:nth-child(2)").click()
    page.until(lambda: value(osc, "snapshot") == 0.0, "the rig itself is back")


def test_tap_moves_the_tempo(osc: Osc, open_page: Opener) -> None:
    page = open_page()
    for _ in range(4):
        page.find(".tap").click()
        time.sleep(0.25)
    page.until(lambda: value(osc, "tempo_bpm") != 120.0, "the tempo has moved")
    tempo = float(str(value(osc, "tempo_bpm")))
    page.until(lambda: page.text(".tap small").startswith(f"{tempo:.0f}"[:2]), "and is shown")
    osc.ask("/ampd/tempo_bpm", 120.0)


def test_rig_is_chosen_by_a_few_letters(osc: Osc, open_page: Opener) -> None:
    page = open_page()
    page.find(".title").click()
    page.find("#picker-search").send_keys("eco", Keys.ENTER)
    page.until(lambda: page.text("#stage h1") == "second", "second is shown")


def test_fader_is_dragged_and_two_taps_bring_its_default(osc: Osc, open_page: Opener) -> None:
    page = open_page("#edit")
    fader = page.find(GAIN)
    ActionChains(page.driver).drag_and_drop_by_offset(fader, 60, 0).perform()
    page.until(lambda: float(str(value(osc, "gain/gain_db"))) > 10.0, "the gain went up")
    shown = page.text(f"{GAIN} output")
    assert shown == f"{float(str(value(osc, 'gain/gain_db'))):.1f} dB"
    ActionChains(page.driver).double_click(fader).perform()
    page.until(lambda: value(osc, "gain/gain_db") == 0.0, "two taps bring the default")


def test_fader_away_from_its_row_is_fine(osc: Osc, open_page: Opener) -> None:
    page = open_page("#edit")
    fader = page.find(GAIN)
    chain = ActionChains(page.driver).click_and_hold(fader).move_by_offset(10, 0)
    chain.move_by_offset(0, 120).move_by_offset(60, 0).release().perform()
    page.until(lambda: value(osc, "gain/gain_db") != 3.0, "it moved")
    time.sleep(0.2)
    # 4 of the first 10 px count, and a tenth of 60, of some 311 for 100 dB.
    assert float(str(value(osc, "gain/gain_db"))) == pytest.approx(3.0 + (4 + 6) / 3.11, abs=0.2)


def test_keys_move_a_fader_that_says_what_it_is(osc: Osc, open_page: Opener) -> None:
    page = open_page("#edit")
    fader = page.find(GAIN)
    assert fader.get_attribute("role") == "slider"
    assert "gain" in str(fader.get_attribute("aria-label"))
    fader.send_keys(Keys.ARROW_RIGHT)
    page.until(lambda: value(osc, "gain/gain_db") == pytest.approx(4.0, abs=0.01), "a step up")
    page.until(lambda: fader.get_attribute("aria-valuetext") == "4.0 dB", "it says so")
    fader.send_keys(Keys.HOME)
    page.until(lambda: value(osc, "gain/gain_db") == -60.0, "the least")
    fader.send_keys(Keys.DELETE)
    page.until(lambda: value(osc, "gain/gain_db") == 0.0, "the default")


def test_a_and_b_are_two_settings(osc: Osc, open_page: Opener) -> None:
    page = open_page("#edit")
    a, b = page.driver.find_elements("css selector", ".compare button")
    page.until(lambda: page.text(f"{GAIN} output") == "3.0 dB", "A is there")
    b.click()
    osc.ask("/ampd/gain/gain_db", 12.0)
    page.until(lambda: page.text(f"{GAIN} output") == "12.0 dB", "B has another gain")
    a.click()
    page.until(lambda: value(osc, "gain/gain_db") == 3.0, "A is as it was")
    b.click()
    page.until(lambda: value(osc, "gain/gain_db") == 12.0, "B is as it was")


def test_lamp_of_a_block_is_its_bypass(osc: Osc, open_page: Opener) -> None:
    page = open_page("#edit")
    lamp = ".lamp[data-path='delay/bypass']"
    assert page.attribute(lamp, "aria-pressed") == "false"
    page.find(lamp).click()
    page.until(lambda: page.attribute(lamp, "aria-pressed") == "true", "it is lit")
    assert value(osc, "delay/bypass") == 0.0


def test_another_rig_brings_its_own_blocks(osc: Osc, open_page: Opener) -> None:
    page = open_page("#edit")
    assert page.run("return document.querySelectorAll('.lamp').length") == 2
    osc.ask("/ampd/rig", "second")
    page.until(lambda: page.run("return document.querySelectorAll('.lamp').length") == 1, "one")
    page.until(lambda: page.text(f"{GAIN} output") == "-3.0 dB", "its value is shown")


def test_two_pages_and_a_controller_show_the_same(osc: Osc, open_page: Opener) -> None:
    phone, tablet = open_page("#edit"), open_page("#edit", TABLET)
    for page in (phone, tablet):
        page.until(lambda page=page: page.text(f"{GAIN} output") == "3.0 dB", "the start")  # type: ignore[misc]
    osc.ask("/ampd/gain/gain_db", -7.0)
    for page in (phone, tablet):
        page.until(lambda page=page: page.text(f"{GAIN} output") == "-7.0 dB", "both show it")  # type: ignore[misc]
    ActionChains(phone.driver).double_click(phone.find(GAIN)).perform()
    tablet.until(lambda: tablet.text(f"{GAIN} output") == "0.0 dB", "the tablet follows the phone")


def test_model_is_chosen_by_a_few_letters_and_kept_as_a_rig(
    world: tuple[Stage, Daemon], osc: Osc, open_page: Opener
) -> None:
    osc.ask("/ampd/rig", "net")
    page = open_page("#edit")
    file = ".file[data-path='amp/model']"
    page.until(lambda: page.text(file) == "tiny", "the model is shown")
    page.find(file).click()
    page.until(lambda: page.text("#picker-list b") == "other", "models are listed")
    page.find("#picker-search").send_keys("oth", Keys.ENTER)
    page.until(lambda: page.text(file) == "other", "the other model is shown")
    assert value(osc, "amp/model") == "other"
    page.find(".save").click()
    page.find("#picker-search").send_keys("my net", Keys.ENTER)
    page.until(lambda: "my-net" in page.text("#said"), "it is said where it went")
    page.until(lambda: value(osc, "rig") == "my-net", "the new rig plays")
    kept = (world[0].directory / "rigs" / "my-net.yaml").read_text()
    assert "model: other" in kept


def found(osc: Osc, words: str) -> list[str]:
    page = json.loads(str(osc.ask("/ampd/models", words).values[0]))
    return [entry["name"] for entry in page["entries"]]


def test_file_is_brought_by_the_page(
    world: tuple[Stage, Daemon], osc: Osc, open_page: Opener
) -> None:
    folder = world[0].directory
    good, bad = folder / "brought.json", folder / "spoilt.json"
    good.write_text((folder / "models" / "tiny" / "tiny.json").read_text())
    bad.write_text("{}")
    page = open_page("#edit")
    page.find("input[type=file]").send_keys(str(bad))
    page.until(lambda: "spoilt.json: " in page.text("#said"), "it is refused")
    page.find("input[type=file]").send_keys(str(good))
    page.until(lambda: page.text("#said") == "brought is in the library", "it is taken")
    page.until(lambda: found(osc, "brou") == ["brought"], "it is found")


def test_health_tells_that_jack_is_not_there(osc: Osc, open_page: Opener) -> None:
    page = open_page("#health")
    page.until(lambda: page.text(".card b") in ("waiting", "lost"), "JACK is said to be missing")
    assert page.run("return document.querySelector('.card').classList.contains('bad')")


def test_refusal_is_said_in_its_sentence(osc: Osc, open_page: Opener) -> None:
    page = open_page()
    page.find(".title").click()
    page.find("#picker-search").send_keys("typo", Keys.ENTER)
    page.until(lambda: page.find("#said").is_displayed(), "the refusal is shown")
    assert "gian_db" in page.text("#said")
    assert page.text("#stage h1") == "first"


@pytest.mark.parametrize("size", [(360, 740), (740, 360), (1024, 768)])
@pytest.mark.parametrize("view", ["", "#edit", "#health"])
def test_nothing_is_wider_than_the_screen(
    osc: Osc, open_page: Opener, view: str, size: tuple[int, int]
) -> None:
    page = open_page(view, size)
    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    small = page.run(
        "return [...document.querySelectorAll('button, [role=slider]')]"
        ".map((n) => [n.className, n.getBoundingClientRect()])"
        ".filter(([, r]) => r.width && (r.width < 40 || r.height < 36)).map(([n]) => n)"
    )
    assert small == []  # a thumb hits it


def test_daemon_that_was_killed_is_back_on_the_page_without_a_reload(
    world: tuple[Stage, Daemon], osc: Osc, open_page: Opener
) -> None:
    stage, daemon = world
    page = open_page()
    page.run("window.kept = true")
    daemon.running.process.kill()
    daemon.running.wait(5.0)
    page.until(lambda: page.find("#lost").is_displayed(), "the page says that it is lost")
    again = start(stage, daemon.port)  # answers a ping from here on
    page.until(
        lambda: not page.find("#lost").is_displayed() and page.text("#stage h1") == "first",
        "the page is whole again",
    )
    assert page.run("return window.kept")
    page.find("[aria-label='next rig']").click()
    page.until(lambda: page.text("#stage h1") == "second", "and of use")
    daemon.running = again.running
