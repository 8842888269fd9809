"""Sound through the real daemon on a real server, held against the same engine offline."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from tests.demo.stage import Stage, tool_argv, until, until_status
from tests.e2e.conftest import Opener
from tests.e2e.rack import RATE_HZ, SILENCE_FRAMES, Rack, far, noise

pytestmark = pytest.mark.jack

EXACT = 1e-6


def test_empty_rig_passes_sound_bit_for_bit_on_both_outputs(rack: Rack) -> None:
    sound = noise(1.0)
    out = rack.passed(sound)
    assert np.array_equal(out[:, 0], sound)
    assert np.array_equal(out[:, 1], sound)


@pytest.mark.parametrize("rig", ["quiet", "net"])
def test_live_sound_is_the_offline_render_sample_for_sample(rack: Rack, rig: str) -> None:
    rack.osc.ask("/ampd/rig", rig)
    rack.until_rig(rig)
    sound = noise(2.0)
    out = rack.passed(sound)
    assert far(out[:, 0], rack.rendered(rig, sound)) <= EXACT


def test_param_set_by_osc_is_heard(rack: Rack) -> None:
    sound = noise(1.0)
    assert rack.osc.ask("/ampd/output/gain_db", -6.0).values == (-6.0,)
    assert far(rack.passed(sound)[:, 0], rack.rendered("softer", sound)) <= EXACT


def _output_latency(stage: Stage) -> int:
    """What JACK says of ampd:out_1: frames since a sound came in at ampd:in_1, which is free."""
    listed = stage.run("latency", ["jack_lsp", "-l", "ampd:out_1"]).out.read_text()
    capture = next(line for line in listed.splitlines() if "capture latency" in line)
    return int(capture.split("[")[1].split()[0])


# 1e-4: the resampler's -80 dB; live and offline start at different frames of its cycle.
@pytest.mark.parametrize("rate_hz", [44_100, pytest.param(96_000, marks=pytest.mark.long)])
def test_model_of_another_rate_plays_and_jack_knows_its_latency(
    stage: Stage, open_rack: Opener, rate_hz: int
) -> None:
    stage.start_server(rate_hz=rate_hz)
    rack = replace(open_rack("--rig", "net"), rate_hz=rate_hz)
    rack.until_jack("running")
    told = until_status(rack.osc, lambda s: s["rig"] == "net" and s["latency_frames"], "net plays")
    frames = told["latency_frames"]
    assert frames <= 0.0015 * rate_hz
    until(lambda: _output_latency(stage) == frames, f"JACK knows of {frames} frames")
    sound = noise(2.0)
    out, expected = rack.passed(sound)[:, 0], rack.rendered("net", sound)
    assert far(out[frames:], expected[:-frames]) <= 1e-4 * float(np.abs(expected).max())
    rack.osc.ask("/ampd/rig", "loud")
    until(lambda: _output_latency(stage) == 0, "JACK knows that the new rig has no latency")


def _has_period(frames: int, state: dict[str, Any]) -> bool:
    return bool(state["jack"]["period_frames"] == frames)


def test_buffer_size_changes_while_it_plays(rack: Rack) -> None:
    sound = noise(1.0)
    expected = rack.rendered("loud", sound)
    for period in (256, 64):
        passage = rack.begin(noise(1.0, seed=2))
        rack.stage.run("bufsize", ["jack_bufsize", str(period)])
        until_status(rack.osc, partial(_has_period, period), f"the period is {period}")
        passage.player.wait(30.0)
        assert far(rack.passed(sound)[:, 0], expected) <= EXACT


@pytest.mark.parametrize("way", ["osc", "midi"])
def test_switch_is_heard_and_leaves_no_trace(rack: Rack, way: str) -> None:
    """Before: the old rig. Once fade and DC blocker are done: the new one, as if it had always
    played."""
    sound = noise(4.0, silence_frames=0)
    passage = rack.begin(sound)
    if way == "osc":
        rack.osc.send("/ampd/rig", "net")
    else:
        rack.stage.run("program", [*tool_argv("program"), "2", "--to", "ampd:midi_in"])
    event = rack.swapped("net")
    out = passage.end()[:, 0]
    assert event.values[:2] == ("net", "loud")
    old, new = rack.rendered("loud", sound), rack.rendered("net", sound)
    changed = int(np.argmax(np.abs(out - old) > EXACT))
    after = max(changed, SILENCE_FRAMES) + SILENCE_FRAMES
    assert 0 < changed < len(sound) // 2
    assert np.abs(out[after:] - new[after:]).max() <= EXACT


def test_switch_by_osc_is_echoed_as_program_change(rack: Rack) -> None:
    listener = rack.stage.tool("listen", "--from", "ampd:midi_out")
    listener.wait_for("ready")
    rack.osc.ask("/ampd/rig", "net")
    # Among the values that a controller is told when it is connected.
    until(
        lambda: "c002" in [line["data"] for line in listener.said() if line["event"] == "midi"],
        "midi_out sends program 2",
    )


def test_ports_are_connected_by_pattern_when_they_appear(stage: Stage, open_rack: Opener) -> None:
    stage.start_server()
    outputs = '["system:playback_1", "system:playback_2"]'
    rack = open_rack(input='"play*:out"', outputs=outputs)
    rack.until_jack("running")
    sound = stage.directory / "sound.wav"
    sf.write(sound, noise(30.0), RATE_HZ, subtype="FLOAT")
    stage.tool("play", sound, "--to").wait_for("ready")

    def connected() -> bool:
        links = (stage.probe() or {}).get("connections", {})
        return bool(
            links.get("ampd:in_1") == ["player:out"]
            and links.get("ampd:out_1") == ["system:playback_1"]
            and links.get("ampd:out_2") == ["system:playback_2"]
        )

    until(connected, "the patterns are connected")


def test_input_and_output_of_the_command_line_win(stage: Stage, open_rack: Opener) -> None:
    stage.start_server()
    rack = open_rack(
        "--rig", "loud", "--input", "system:capture_2", "--output", "system:playback_2"
    )
    rack.until_jack("running")

    def connected() -> bool:
        links = (stage.probe() or {}).get("connections", {})
        return bool(
            links.get("ampd:in_1") == ["system:capture_2"]
            and links.get("system:playback_2", [""])[0].startswith("ampd:out_")
            and links.get("system:playback_1") == []
        )

    until(connected, "the ports of the command line are connected")
