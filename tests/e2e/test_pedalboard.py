"""A whole pedalboard on a real server: as the offline engine plays it, edited while it plays."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.demo.stage import until_status
from tests.e2e.foot import longest_zero_run, program, settle, tone
from tests.e2e.rack import RATE_HZ, Rack, Signal, noise

pytestmark = pytest.mark.jack

EXACT = 1e-6
LEAD_FRAMES = RATE_HZ // 2
FADE_FRAMES = RATE_HZ // 50


def test_a_pedalboard_live_is_its_offline_render_from_silence(foot: Rack) -> None:
    """Gate, boost, amp, eq, cab, delay; the silence before outlasts what the amp's start echoes."""
    settle(foot, "still")
    start = 4 * RATE_HZ
    sound = noise(1.5, silence_frames=start)
    live, offline = foot.passed(sound)[:, 0], foot.rendered("still", sound)
    assert np.abs(offline[start:]).max() > 0.01
    assert np.abs(live[start:] - offline[start:]).max() <= EXACT


def test_an_echo_rings_on_at_its_time_after_the_rig_is_gone(foot: Rack) -> None:
    """A click through a delay of 300 ms, and a program change to the empty rig 50 ms later."""
    settle(foot, "echo")
    click = LEAD_FRAMES + 13
    sound = np.zeros(RATE_HZ + LEAD_FRAMES, np.float32)
    sound[click] = 0.5
    whole = foot.passed(sound)[:, 0]
    settle(foot, "echo")
    out = foot.passed(sound, [(click + 2400, program(0))])[:, 0]
    foot.until_rig("plain")
    echo = click + 300 * RATE_HZ // 1000
    around = slice(echo - 240, echo + 2400)
    assert np.abs(whole[around]).max() > 0.01
    assert echo - 2 <= int(np.argmax(np.abs(whole[click + 1 :]))) + click + 1 <= echo + 48
    assert np.abs(out[around] - whole[around]).max() <= EXACT


@pytest.fixture
def edited(foot: Rack) -> Iterator[Path]:
    """The file of the rig `quiet`, which plays; it is afterwards as it was."""
    path = foot.stage.directory / "rigs" / "quiet.yaml"
    text = path.read_text()
    settle(foot, "quiet")
    yield path
    path.write_text(text)
    until_status(foot.osc, lambda s: s["values"].get("gain/gain_db") == -12.0, "the rig is back")


def first_change(out: Signal, sound: Signal) -> int:
    """The first frame at which the gain is not the one it began with."""
    gain = out / sound
    apart = np.abs(gain - gain[0]) > EXACT
    assert apart.any()
    return int(np.argmax(apart))


def test_a_rig_edited_while_it_plays_is_heard_in_one_fade(foot: Rack, edited: Path) -> None:
    sound = tone(60.0)
    foot.osc.ask("/ampd/subscribe", "/ampd/event")
    passage = foot.begin(sound)
    edited.write_text(edited.read_text().replace("-12", "-20"))
    foot.swapped("quiet")
    out = passage.cut()[:, 0]
    sound = sound[: len(out)]
    heard = first_change(out, sound)
    assert longest_zero_run(out) <= 1
    gain = out / sound
    assert len(gain) > heard + 2 * FADE_FRAMES
    assert np.abs(gain[heard + 2 * FADE_FRAMES :] - 10 ** (-20 / 20)).max() <= EXACT
    assert np.diff(gain).max() <= EXACT  # it goes down in one fade, and nowhere else


def test_a_bad_edit_is_told_and_the_good_rig_plays_on(foot: Rack, edited: Path) -> None:
    sound = tone(60.0)
    foot.osc.ask("/ampd/subscribe", "/ampd/event")
    passage = foot.begin(sound)
    edited.write_text("program: 1\nchain:\n  - gain: {gian_db: -20}\n")
    told = foot.osc.wait(lambda m: m.address == "/ampd/event/fault")
    out = passage.cut()[:, 0]
    sound = sound[: len(out)]
    assert told.values[0] == "quiet"
    assert "gian_db" in str(told.values[1])
    assert np.abs(out / sound - 10 ** (-12 / 20)).max() <= EXACT


def test_the_tuner_names_the_note_while_nothing_is_heard(foot: Rack) -> None:
    """110.5 Hz is A2, 1200 * log2(110.5 / 110) = 7.85 cents sharp. Asked: within 1 cent."""
    foot.osc.ask("/ampd/tuner", True)
    foot.osc.ask("/ampd/subscribe", "/ampd/tuner/pitch")
    at = np.arange(2 * RATE_HZ) / RATE_HZ
    passage = foot.begin((0.3 * np.sin(2 * np.pi * 110.5 * at)).astype(np.float32))
    heard = [
        foot.osc.wait(lambda m: m.address == "/ampd/tuner/pitch" and m.values[0] != "")
        for _ in range(12)
    ]
    out = passage.end()
    assert {m.values[0] for m in heard} == {"A2"}
    cents = [float(m.values[1]) for m in heard[4:]]  # 150 ms to settle
    assert np.abs(np.array(cents) - 7.85).max() <= 1.0
    assert not out.any()
