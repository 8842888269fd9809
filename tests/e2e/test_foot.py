"""What a foot does, at a known frame of a real server, and when and how it is heard."""

import time

import numpy as np
import pytest

from tests.demo.stage import Running, status, until, until_status
from tests.e2e.foot import (
    HEAVY,
    SPACING_FRAMES,
    changes_of_program,
    control,
    latencies,
    longest_zero_run,
    program,
    settle,
    tone,
)
from tests.e2e.gig import frozen
from tests.e2e.rack import RATE_HZ, Rack, Script, Signal

pytestmark = pytest.mark.jack

LIMIT_FRAMES = RATE_HZ * 5 // 1000
LEAD_FRAMES = RATE_HZ // 2
RAMP_FRAMES = RATE_HZ // 50  # longer than any ramp of the engine
EXACT = 1e-6
QUIET, LESS = 10 ** (-12 / 20), 10 ** (-6 / 20)  # what the rigs `quiet` and `shout` leave
BYPASS, OUTPUT, MUTE, PANIC = 70, 119, 120, 123  # of the profile hx


def gains(out: Signal, sound: Signal) -> Signal:
    """What each sample was multiplied by; no sample of the tone is zero."""
    return np.asarray(out / sound, np.float32)


def first_apart(gain: Signal, frame: int) -> int:
    """The first frame near `frame` whose gain is not the one long before it."""
    start = frame - 200
    apart = np.abs(gain[start : frame + 200] / gain[start] - 1) > EXACT
    return start + int(np.argmax(apart)) if apart.any() else -1


def steady_gain(gain: Signal, frame: int) -> float:
    """The gain that has been reached well after `frame`."""
    window = gain[frame + RAMP_FRAMES : frame + RAMP_FRAMES + 200]
    assert np.ptp(window) <= EXACT
    return float(window[0])


# Half of the changes within 5 ms: a single one can wait for a machine that is shared. The bench
# foot_latency has the whole distribution.
@pytest.mark.parametrize(("blocked", "rounds"), [(False, 100), (True, 200)])
def test_program_change_is_heard_within_5_ms_and_without_silence(
    foot: Rack, blocked: bool, rounds: int
) -> None:
    script = changes_of_program(rounds, LEAD_FRAMES, len(HEAVY))
    sound = tone(1.0 + rounds * SPACING_FRAMES / RATE_HZ)
    if blocked:
        began = time.monotonic()
        with frozen(foot):
            out = foot.passed(sound, script)[:, 0]
        assert time.monotonic() - began >= 10.0
    else:
        out = foot.passed(sound, script)[:, 0]
    found = latencies(out, [frame for frame, _ in script])
    assert (found >= 0).all()
    assert np.median(found) <= LIMIT_FRAMES
    assert longest_zero_run(out) <= 1
    last = HEAVY[script[-1][1][1]]
    foot.until_rig(last)
    assert status(foot.osc)["last_switch"]["target"] == last


def test_controllers_work_while_the_control_plane_is_blocked_and_it_catches_up(foot: Rack) -> None:
    settle(foot, "quiet")
    steps = [
        (control(BYPASS, 0), 1.0),
        (control(BYPASS, 127), QUIET),
        (control(MUTE, 127), 0.0),
        (control(MUTE, 0), QUIET),
        (control(OUTPUT, 127), QUIET * 10 ** (6 / 20)),
        (control(PANIC, 0), 1.0),
    ]
    script = [(LEAD_FRAMES + n * 4801, data) for n, (data, _) in enumerate(steps)]
    sound = tone(2.0)
    with frozen(foot):
        gain = gains(foot.passed(sound, script)[:, 0], sound)
    for (frame, _), (_, expected) in zip(script, steps, strict=True):
        assert steady_gain(gain, frame) == pytest.approx(expected, abs=EXACT)
    caught_up = until_status(foot.osc, lambda s: s["globals"]["bypass"], "the panic is known")
    assert caught_up["rig"] == caught_up["wanted_rig"] == "quiet"
    assert not caught_up["globals"]["mute"]
    assert caught_up["values"]["output/gain_db"] == 6.0


def test_controller_moves_its_knob_at_its_own_frame(foot: Rack) -> None:
    """The constant of the loop is what a click through the empty rig needs."""
    click = np.zeros(RATE_HZ // 2, np.float32)
    click[10_001] = 0.5
    delay = int(np.argmax(foot.passed(click)[:, 0])) - 10_001
    places = [0, 1, 17, 31, 32, 33, 62, 63]  # in a period of 64
    script = [
        (LEAD_FRAMES + n * 3200 + place, control(OUTPUT, 60 + 7 * (n % 2)))
        for n, place in enumerate(places * 2)
    ]
    sound = tone(2.0)
    gain = gains(foot.passed(sound, script)[:, 0], sound)
    found = [first_apart(gain, frame + delay) - delay for frame, _ in script]
    assert found == [frame for frame, _ in script]


def garbage(random: np.random.Generator) -> bytes:
    """A start of something, and data that belongs to nothing; and programs by running status."""
    data = random.integers(0, 128, int(random.integers(1, 40)), np.uint8).tobytes()
    kinds = (
        b"\xf0" + data,  # a SysEx without an end
        b"\xf4" + data,  # undefined, then strays
        b"\xb5\x14",  # a message cut off
        b"\xe5" + data[: len(data) // 2 * 2],  # running status of pitch bend
        b"\xf2\x01",  # a song position without its end
        b"\xc0" + bytes(random.choice([1, 5], len(data)).tolist()),
    )
    return kinds[int(random.integers(len(kinds)))]


def hostile_stream(seconds: float) -> tuple[Script, list[int], list[int]]:
    """31,250 bytes a second in chunks of any size; the frames of panics and of what ends them."""
    random = np.random.default_rng(11)

    def with_clock(data: bytes) -> bytes:
        at = int(random.integers(len(data) + 1))
        return data[:at] + bytes([0xF8 + int(random.integers(8))]) + data[at:]

    script: list[tuple[int, bytes]] = []
    panics, ends = [], []
    frame, sent, last = LEAD_FRAMES, 0, LEAD_FRAMES + int(seconds * RATE_HZ)
    next_panic, next_end = frame + 2400, -1
    while frame < last:
        data = garbage(random)
        if frame >= next_panic >= 0:
            data, next_end, next_panic = control(PANIC, 5), frame + 2400, -1
            panics.append(frame)
        elif frame >= next_end >= 0:
            data, next_panic, next_end = control(BYPASS, 127), frame + 2400, -1
            ends.append(frame)
        data = with_clock(data)
        script.append((frame, data))
        sent += len(data)
        frame = LEAD_FRAMES + sent * RATE_HZ // 31_250
    if len(ends) < len(panics):
        frame = max(frame, panics[-1] + 2400)
        ends.append(frame)
        script.append((frame, control(BYPASS, 127)))
    script.append((frame + 1, b"\xc0\x03\x02\xf8\x04\x01"))
    return script, panics, ends


def test_a_cable_full_of_garbage_loses_no_panic_and_the_last_program_wins(foot: Rack) -> None:
    settle(foot, "quiet")
    script, panics, ends = hostile_stream(5.0)
    assert sum(len(data) for _, data in script) >= 5 * 31_250
    assert len(panics) >= 40
    sound = tone(7.0)
    out = foot.passed(sound, script)[:, 0]
    gain = gains(out, sound)
    for before, panic, end in zip([LEAD_FRAMES, *ends[:-1]], panics, ends, strict=True):
        rig = gain[before + RAMP_FRAMES : panic]
        assert rig.min() >= QUIET - EXACT
        assert rig.max() <= LESS + EXACT
        assert np.abs(gain[panic + RAMP_FRAMES : end] - 1).max() <= EXACT
    assert longest_zero_run(out) <= 1
    assert steady_gain(gain, len(gain) - 2400) == pytest.approx(QUIET, rel=1e-5)
    foot.until_rig("quiet")
    assert not status(foot.osc)["globals"]["bypass"]


class Ear:
    """What comes out of ampd:midi_out."""

    def __init__(self, rack: Rack) -> None:
        self._running: Running = rack.stage.tool("listen", "--from", "ampd:midi_out")
        self._running.wait_for("ready")

    def heard(self) -> list[str]:
        return [line["data"] for line in self._running.said() if line["event"] == "midi"]

    def until(self, wanted: list[str], since: int = 0) -> list[str]:
        """Wait until these have come after the first `since`, in this order."""

        def came() -> bool:
            rest = iter(self.heard()[since:])
            return all(message in rest for message in wanted)

        until(came, f"midi_out sends {wanted}; it sent {self.heard()[since:]}")
        return self.heard()[since:]

    def stop(self) -> None:
        self._running.stop()


def test_midi_out_tells_a_controller_what_is_and_what_changes(foot: Rack) -> None:
    settle(foot, "shout")
    assert foot.osc.ask("/ampd/output/gain_db", -10.0).values == (-10.0,)
    ear = Ear(foot)
    # On connecting, wherever the round of all values begins:
    ear.until(["b01440"])  # 127 * (-10 - -20) / 20 = 63.5, up
    ear.until(["b21500"])  # the lamp of a block that is heard has the value 0 of its table
    before = len(ear.heard())
    foot.osc.ask("/ampd/output/gain_db", -20.0)
    foot.osc.ask("/ampd/gain/bypass", True)
    ear.until(["b01400", "b21540"], before)
    before = len(ear.heard())
    foot.osc.ask("/ampd/rig", "quiet")
    ear.until(["c001"], before)
    before = len(ear.heard())
    foot.osc.ask("/ampd/rig", "shout")
    came = ear.until(["c005", "b0147f"], before)  # and all values of the rig anew
    ear.until(["c109", "b31e05"], before)
    assert came.count("c005") == 1
    ear.stop()


def test_midi_out_connected_to_midi_in_does_not_run_round(foot: Rack) -> None:
    """Every message comes back into the rack at once, for two seconds of OSC commands."""
    ear = Ear(foot)
    foot.stage.run("loop", ["jack_connect", "ampd:midi_out", "ampd:midi_in"])
    try:
        settle(foot, "shout")
        begun = len(ear.heard())
        commands = 0
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s:
            foot.osc.ask("/ampd/output/gain_db", -float(commands % 20))
            foot.osc.ask("/ampd/gain/bypass", commands % 2 == 0)
            commands += 2
            time.sleep(0.05)
        foot.osc.ask("/ampd/rig", "quiet")
        foot.osc.ask("/ampd/rig", "shout")
        foot.until_rig("shout")
        counts = [len(ear.heard())]
        for _ in range(2):
            time.sleep(0.5)
            counts.append(len(ear.heard()))
        assert counts[-1] == counts[-2]  # it has come to rest
        refresh = 128  # of a rig, at the most: one message a binding
        assert counts[-1] - begun <= commands + 2 * refresh
        now = status(foot.osc)
        assert now["rig"] == now["wanted_rig"] == "shout"
        assert now["values"]["output/gain_db"] == 0.0
    finally:
        foot.stage.run("unloop", ["jack_disconnect", "ampd:midi_out", "ampd:midi_in"])
        ear.stop()


def test_bank_select_and_program_change_choose_set_and_rig(foot: Rack) -> None:
    """Bank 3 is the set `early`, bank 259 = 128 * 2 + 3 the set `late`, bank 0 all rigs."""

    def chosen(upper: int, lower: int, number: int) -> bytes:
        return control(0, upper) + control(32, lower) + program(number)

    choices = [chosen(0, 3, 0), chosen(2, 3, 8), chosen(0, 0, 1), chosen(2, 3, 8)]
    script = [(LEAD_FRAMES * (n + 1) + 31, data) for n, data in enumerate(choices)]
    sound = tone(3.0)
    gain = gains(foot.passed(sound, script)[:, 0], sound)
    heard = [steady_gain(gain, frame + LEAD_FRAMES - 2400) for frame, _ in script]
    assert heard == pytest.approx([QUIET, LESS, QUIET, LESS], abs=EXACT)
    now = status(foot.osc)
    assert (now["set"], now["rig"], now["wanted_rig"]) == ("late", "shout", "shout")
    foot.osc.ask("/ampd/set", "")
