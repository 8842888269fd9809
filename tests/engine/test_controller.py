"""A controller moves its param at the frame of its message, in blocks of any length."""

from pathlib import Path

import numpy as np
import pytest

from ampd.bank import plan_rig
from ampd.library import Library
from ampd.rack import Engine, build
from ampd.rehearsal import settle
from ampd.rig import parse_rig

RIG = b"""
chain: [gain: {gain_db: 0}]
midi: [{control: 20, path: gain/gain_db, low: -60, high: 0}]
"""
COUNT = 500
EVERY = 1500  # a walk of 10 ms is over by then
RAMP_FRAMES = 480


# Exact: of a constant input the first sample that differs is the first step of the walk.
@pytest.mark.parametrize("most_frames", [64, 1024])
def test_a_controller_is_heard_from_its_own_frame_on(tmp_path: Path, most_frames: int) -> None:
    engine = Engine(48000, threaded=False, safety=False)
    library = Library(tmp_path, tmp_path)
    build(engine, 0, plan_rig(library, parse_rig(RIG, "rig")))
    settle(engine)
    random = np.random.default_rng(most_frames)
    frames = np.arange(COUNT) * EVERY + random.integers(RAMP_FRAMES, EVERY - RAMP_FRAMES, COUNT)
    events = [(int(at), bytes([0xB0, 20, 0 if n % 2 == 0 else 127])) for n, at in enumerate(frames)]
    heard, at = [], 0
    while at < COUNT * EVERY:
        length = min(int(random.integers(1, most_frames + 1)), COUNT * EVERY - at)
        inside = [(frame - at, data) for frame, data in events if at <= frame < at + length]
        heard.append(engine.process(np.full(length, 0.5, np.float32), length, inside)[0])
        at += length
    engine.service()
    sound = np.concatenate(heard)
    moved = np.flatnonzero(np.diff(sound, prepend=sound[:1]))
    firsts = moved[np.diff(moved, prepend=-EVERY) > 1]
    assert firsts.tolist() == frames.tolist()
