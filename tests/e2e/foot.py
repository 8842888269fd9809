"""What the tests of the foot play: rigs of every weight, a steady tone, and what it tells."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench.models import a1, lstm
from tests.demo.stage import until_status
from tests.e2e.rack import RATE_HZ, Rack, Script, Signal, write_library

TONE_FRAMES = 48  # of one period, a whole number: a steady rig repeats itself to the last bits
FADE_FRAMES = RATE_HZ // 50
SPACING_FRAMES = 2160  # between two program changes: the fade is over, 200 fit into 10 s
STEADY_FRAMES = 480
LEAST_CHANGE = 1e-5  # of full scale; what float32 leaves of a steady tone is below 1e-6

RIGS = {
    "plain": "program: 0\nchain: []\n",
    "quiet": "program: 1\nchain:\n  - gain: {gain_db: -12}\n",
    "net": "program: 2\nchain:\n  - amp: {model: a1, level_db: -6}\n",
    "recurrent": "program: 3\nchain:\n  - amp: {model: lstm, level_db: 18}\n",
    # The echo of a fade comes 325 ms later: between two of the program changes 45 ms apart.
    "board": (
        "program: 4\nchain:\n"
        "  - gate: {threshold_db: -70}\n"
        "  - boost: {gain_db: 3}\n"
        "  - amp: {model: tiny, level_db: 6}\n"
        "  - eq: {low_cut_hz: 60, peak1_db: -2, high_db: 2}\n"
        "  - cab: {high_cut_hz: 8000}\n"
        "  - delay: {time_ms: 325, feedback: 0.2, mix: 0.2}\n"
        "  - reverb: {decay_s: 0.8, mix: 0.15}\n"
    ),
    "shout": (
        "program: 5\nchain:\n  - gain: {gain_db: -6}\n"
        "midi:\n"
        "  - {control: 20, path: output/gain_db, low: -20, high: 0}\n"
        "  - {control: 21, path: gain/bypass, mode: toggle, channel: 3, leds: [0, 64]}\n"
        "on_load:\n  - {program: 9, channel: 2}\n  - {control: 30, value: 5, channel: 4}\n"
    ),
    "echo": "program: 6\nchain:\n  - delay: {time_ms: 300, feedback: 0, mix: 0.5}\n",
}
SETS = {
    "early": "bank: 3\nrigs:\n  - quiet\n  - plain\n",
    "late": "bank: 259\nrigs:\n  - plain: 7\n  - shout: 8\n",
}
# Its reverb plays at 0: where the room wanders depends on how long it has been there.
RIGS["still"] = RIGS["board"].replace("mix: 0.15", "mix: 0").replace("program: 4", "program: 7")
HEAVY = ("plain", "quiet", "net", "recurrent", "board")  # programs 0 to 4


def write_foot_library(folder: Path) -> None:
    """folder/rigs with its sets, and folder/models."""
    write_library(folder, RIGS)
    (folder / "rigs" / "sets").mkdir()
    for name, text in SETS.items():
        (folder / "rigs" / "sets" / f"{name}.yaml").write_text(text)
    for name, document in (("a1", a1("a1-standard")), ("lstm", lstm(1, 16))):
        (folder / "models" / f"{name}.nam").write_text(json.dumps(document))


def program(number: int) -> bytes:
    return bytes([0xC0, number])


def control(number: int, value: int) -> bytes:
    return bytes([0xB0, number, value])


def tone(seconds: float, peak: float = 0.25) -> Signal:
    phase = 2 * np.pi * np.arange(int(seconds * RATE_HZ)) / TONE_FRAMES
    # No sample of it is zero.
    return (peak * np.sin(phase + np.pi / TONE_FRAMES)).astype(np.float32)


def changes_of_program(count: int, start: int, programs: int, seed: int = 1) -> Script:
    """`count` program changes among the first `programs`, from program 0 on: each to another rig,
    at any place in a period."""
    random = np.random.default_rng(seed)
    script, now = [], 0
    for number in range(count):
        now = (now + 1 + int(random.integers(programs - 1))) % programs
        frame = start + number * SPACING_FRAMES + int(random.integers(64))
        script.append((frame, program(now)))
    return script


def moved(out: Signal) -> Signal:
    """How far each sample is from the one a period of the tone before."""
    far = np.zeros(len(out), np.float32)
    far[TONE_FRAMES:] = np.abs(out[TONE_FRAMES:] - out[:-TONE_FRAMES])
    return far


def latencies(out: Signal, at: Sequence[int]) -> NDArray[np.int64]:
    """Frames from each of these to the first sample that the change before cannot explain; -1
    where there is none before the next."""
    far = moved(out)
    found = []
    for frame in at:
        steady = float(far[frame - STEADY_FRAMES : frame].max())
        window = far[frame : frame + SPACING_FRAMES - FADE_FRAMES]
        over = np.flatnonzero(window > max(LEAST_CHANGE, 2 * steady))
        found.append(int(over[0]) if len(over) else -1)
    return np.array(found, np.int64)


def longest_zero_run(out: Signal) -> int:
    """Frames of exact silence in a row, at the most."""
    silent = np.concatenate(([False], out == 0, [False]))
    edges = np.flatnonzero(np.diff(silent.astype(np.int8)))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def settle(rack: Rack, rig: str) -> None:
    """The rig as its file has it, heard and alone, and nothing over it."""
    over = ("bypass", "mute", "tuner")
    rack.osc.send("/ampd/panic")  # no tail of the rig before
    for path in over:
        rack.osc.ask(f"/ampd/{path}", False)
    rack.osc.ask("/ampd/rig", rig)
    until_status(
        rack.osc,
        lambda s: (
            s["rig"] == s["wanted_rig"] == rig and not any(s["globals"][path] for path in over)
        ),
        f"the rig {rig} is heard, and nothing over it",
    )
