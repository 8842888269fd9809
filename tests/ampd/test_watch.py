"""ampd watch: what it draws, what its keys do, and a real terminal that is given back."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from ampd.cli import main
from ampd.client import Client
from ampd.screen import split_keys
from ampd.state import JackState, Knob, LoadState, RigEntry, State, Switch
from ampd.watch import Watch
from ampd.watch_view import PLAIN, Glyphs, Meter, Scene, draw
from tests.ampd.conftest import LIMIT_S, Served

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(60, 16), (80, 24), (110, 30), (120, 40), (200, 60)]


def state(**changes: Any) -> dict[str, Any]:
    """A daemon that plays `lead` of many rigs."""
    knobs = {"gain_db": Knob("dB", -60, 60, 0, False, ""), "bypass": Knob("", 0, 1, 0, True, "")}
    values = {"gain_db": 6.5, "bypass": 0.0}
    whole = State(
        rig="lead",
        wanted_rig="lead",
        values={f"{b}/{k}": v for b in ("amp", "delay") for k, v in values.items()},
        params={f"{b}/{k}": knob for b in ("amp", "delay") for k, knob in knobs.items()},
        globals={"bypass": False, "mute": False, "tuner": False},
        rigs=(
            *(RigEntry(f"rig{n}", n, n % 2 == 0) for n in range(40)),
            RigEntry("lead", 40, True),
            RigEntry("bad", None, False, "a typo"),
        ),
        sample_rate_hz=48000,
        latency_frames=70,
        jack=JackState("running", "", "default", "ampd", 48000, 64, True, 7, ()),
        load=LoadState(0.125, 0.5, 0.93, 1, 2),
        last_switch=Switch("clean", "lead", 1.34, "crossfade"),
    )
    made: dict[str, Any] = json.loads(whole.to_json())
    return made | changes


def picture(scene: Scene, width: int = 80, height: int = 24, how: Glyphs = PLAIN) -> str:
    return "\n".join(line.plain for line in draw(scene, width, height, how))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("how", [PLAIN, Glyphs()])
def test_every_size_is_filled_and_never_overrun(width: int, height: int, how: Glyphs) -> None:
    tuning = state(globals={"tuner": True, "mute": True, "bypass": True})
    troubled = state(last_error="a long sentence " * 20, wanted_rig="rig3")
    for seen in ({}, state(), tuning, troubled):
        scene = Scene(seen, chosen="lead", pitch=("E2", -7.0, 82.1))
        lines = draw(scene, width, height, how)
        assert len(lines) == height
        assert max(line.cell_len for line in lines) <= width
        if how is PLAIN:
            # The sign that a text was cut is the terminal's to replace.
            assert "\n".join(line.plain for line in lines).replace("…", "").isascii()


def test_one_glance_tells_what_counts() -> None:
    text = picture(Scene(state(), chosen="lead"))
    for words in (
        "l e a d   40",
        "JACK default  48000 Hz  64 frames (1.33 ms)",
        "p50",
        "12.5 %",
        "93.0 %",
        "engine 1  machine 2  xruns of JACK 7",
        "clean to lead 1.3 ms (crossfade)",
        "latency 1.46 ms",
        "> 40 lead",
        "amp      gain 6.5 dB",
        "q",
    ):
        assert words in text


def test_the_chosen_rig_is_in_sight_wherever_it_stands() -> None:
    for name in ("rig0", "rig20", "lead", "bad"):
        assert name in picture(Scene(state(), chosen=name))


def test_what_is_wrong_is_said() -> None:
    jack = state()["jack"]
    lost = picture(Scene(state(jack=jack | {"state": "lost", "reason": "it hangs"})))
    assert "JACK lost: it hangs" in lost
    assert "no server drives the engine" in lost
    assert "NOT REAL-TIME" in picture(Scene(state(jack=jack | {"realtime": False})))
    assert "rig3 is on its way" in picture(Scene(state(wanted_rig="rig3")))
    assert "gone away" in picture(Scene(state(), lost="gone away"))
    assert "no answer yet" in picture(Scene({}, lost="no answer yet"))
    assert "a typo" in picture(Scene(state(last_error="a typo")))
    assert "a typo" not in picture(Scene(state(last_error="a typo"), dismissed="a typo"))


def test_the_needle_points_where_the_string_is() -> None:
    on = state(globals={"tuner": True})

    def place(cents: float) -> int:
        line = picture(Scene(on, pitch=("A2", cents, 110.0))).splitlines()[-4]
        assert "A2" in line
        return line.index("#") if "#" in line else line.index("|")

    assert place(-50.0) < place(-10.0) < place(0.0) < place(10.0) < place(50.0)
    assert place(0.0) - place(-50.0) == place(50.0) - place(0.0)
    assert "in tune" in picture(Scene(on, pitch=("A2", 2.0, 110.1)))
    assert "tune up" in picture(Scene(on, pitch=("A2", -9.0, 109.0)))
    assert "A2" not in picture(Scene(state(), pitch=("A2", 0.0, 110.0)))


def test_a_peak_stays_and_falls_and_its_highest_is_kept() -> None:
    meter = Meter()
    meter.take(-6.0, -12.0, 10.0)
    meter.take(-40.0, -50.0, 10.1)
    assert meter.hold(11.4) == -6.0
    assert meter.hold(12.5) == pytest.approx(-26.0)  # 20 dB a second after 1.5 s
    assert meter.hold(99.0) == -60.0
    assert (meter.peak_db, meter.most_db) == (-40.0, -6.0)


def test_each_block_stands_with_its_load() -> None:
    assert "p99   max" not in picture(Scene(state()), 120, 40)
    blocks = [{"name": "amp+amp2", "p50": 0.0312, "p99": 0.04, "maximum": 0.0913}]
    loaded = state(load=state()["load"] | {"blocks": blocks})
    rows = picture(Scene(loaded), 120, 40).splitlines()
    head = next(n for n, row in enumerate(rows) if "p50   p99   max %" in row)
    assert "amp       3.12  4.00  9.13" in rows[head + 1]
    assert "delay    gain" in rows[head + 2]


def test_levels_are_shown_once_they_are_told() -> None:
    scene = Scene(state())
    assert "nothing was heard yet" in picture(scene)
    scene.meters["in"].take(-30.0, -40.0, 0.0)
    line = next(row for row in picture(scene).splitlines() if " in " in row)
    assert line.count("#") + line.count("|") == round(31 / 2)  # of 31 columns, -30 of -60 dB
    assert "-30.0" in line


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("q", ["q"]),
        ("\x1b[A\x1bOBx", ["up", "down", "x"]),
        ("\x1b[6~\r", ["page down", "enter"]),
        ("\x1b", ["escape"]),
        ("\x1b[1;5Cz", ["z"]),
        ("\x1b[200~b", ["b"]),
        ("\x1b[", []),
    ],
)
def test_keys_are_told_apart(typed: str, keys: list[str]) -> None:
    assert split_keys(typed) == keys


def settled(watch: Watch, done: Any) -> None:
    """Let the watch run, without a screen, until done(scene)."""
    deadline_s = time.monotonic() + LIMIT_S
    while not done(watch.scene):
        assert time.monotonic() < deadline_s, watch.scene
        watch.tick(time.monotonic())
        select.select([watch._client.socket], [], [], 0.02)
        watch.listen()


def test_keys_play_the_daemon(served: Served) -> None:
    with Client("127.0.0.1", served.port) as client:
        watch = Watch(client, "here")
        settled(watch, lambda scene: scene.state.get("rig") == "clean")
        assert watch.scene.chosen == "clean"
        watch.press("down")
        assert watch.scene.chosen == "drive"
        watch.press("enter")
        settled(watch, lambda scene: scene.state["rig"] == "drive")
        watch.press("right")
        settled(watch, lambda scene: scene.state["rig"] == "loud")
        assert watch.scene.chosen == "loud"
        watch.press("left")
        settled(watch, lambda scene: scene.state["rig"] == "drive")
        for key, path in (("b", "bypass"), ("m", "mute"), ("t", "tuner")):
            watch.press(key)
            settled(watch, lambda scene, path=path: scene.state["globals"][path])
            watch.press(key)
            settled(watch, lambda scene, path=path: not scene.state["globals"][path])
        watch.press("s")  # drive has no snapshots
        settled(watch, lambda scene: "snapshot" in scene.note)
        watch.press("!")
        settled(watch, lambda scene: scene.state["globals"]["bypass"])
        watch.press("q")
        assert watch.ended


def test_a_daemon_that_goes_is_missed_and_one_that_comes_is_found() -> None:
    with Client("127.0.0.1", 1) as client:
        watch = Watch(client, "there")
        settled(watch, lambda scene: "no answer" in scene.lost)
        watch.hear(("status", [json.dumps(state())]))
        assert watch.scene.lost == ""
        assert watch.scene.state["rig"] == "lead"


def test_counters_start_anew_and_a_new_daemon_has_its_own() -> None:
    with Client("127.0.0.1", 1) as client:
        watch = Watch(client, "there")
        watch.hear(("status", [json.dumps(state())]))
        watch.press("z")
        assert "engine 0  machine 0  xruns of JACK 0" in picture(watch.scene)
        younger = state(load=state()["load"] | {"late_engine": 0})
        watch.hear(("status", [json.dumps(younger)]))
        assert "engine 0  machine 2  xruns of JACK 7" in picture(watch.scene)


def test_levels_and_faults_are_heard() -> None:
    with Client("127.0.0.1", 1) as client:
        watch = Watch(client, "there")
        watch.hear(("status", [json.dumps(state())]))
        watch.hear(("meter/in", [-12.0, -20.0]))
        watch.hear(("meter/out", [-3.0]))
        watch.hear(("event/fault", ["lead", "no number"]))
        watch.hear(("tuner/pitch", ["E2", 1.0, 82.0]))
        assert watch.scene.meters["in"].peak_db == -12.0
        assert watch.scene.meters["out"].most_db == -3.0
        assert (watch.scene.trouble, watch.scene.pitch[0]) == ("no number", "E2")


def test_without_a_terminal_or_a_daemon_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["watch", "--port", "1"]) == 1
    assert "needs a terminal" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["watch", "--port", "1"]) == 3
    shown = capsys.readouterr()
    assert "No ampd answers" in shown.err
    assert "\x1b" not in shown.out


def test_a_real_terminal_shows_it_and_is_given_back(served: Served) -> None:
    """80 x 24 through a pty: the picture, a key that switches, a resize, and the end."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(follower)
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        env.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "ampd.cli", "watch", "--port", str(served.port)],
        stdin=follower,
        stdout=follower,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=env,
        start_new_session=True,
    )
    seen = ""

    def until(words: str) -> None:
        nonlocal seen
        deadline_s = time.monotonic() + 4 * LIMIT_S
        while words not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen):
            assert time.monotonic() < deadline_s, seen[-2000:]
            if select.select([leader], [], [], 0.1)[0]:
                seen += os.read(leader, 65536).decode()

    try:
        until("c l e a n   0")
        os.write(leader, b"\x1b[C")
        until("d r i v e   1")
        seen = ""
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        os.kill(process.pid, 28)  # SIGWINCH: the pty is not its controlling terminal
        until("z zero  q quit")
        os.write(leader, b"q")
        assert process.wait(2 * LIMIT_S) == 0
        while select.select([leader], [], [], 0.1)[0]:
            seen += os.read(leader, 65536).decode()
        assert seen.endswith("\x1b[?7h\x1b[?25h\x1b[?1049l")
        assert termios.tcgetattr(follower) == before
    finally:
        process.kill()
        process.wait()
        os.close(leader)
        os.close(follower)
