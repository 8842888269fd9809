"""What is heard of 1,000 swaps between ten rigs while a host plays: one JSON line a figure.

    make test-plugin && python -m tests.bench.plugin_swaps [--swaps 1000]

The daemon's ten rigs, in minihost, which opens them as projects while a 997 Hz sine and the guitar
play in real time, one guitar in and two sides out.  The criteria are those of the daemon's own
switches (switching.py), but all of it as it is heard, behind the ceiling.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from ampd.bank import Plan
from ampd.rack import Engine, Setup, build
from ampd.rehearsal import Levels, settle
from tests.bench import ten_rigs
from tests.bench.switching import (
    BLOCK,
    EVERY,
    LEAD,
    RATE_HZ,
    WARM,
    Signal,
    Sound,
    Switch,
    always,
    judge,
    route,
    setups,
    sine,
    take,
    tell_found,
)
from tests.plugin import hosts
from tests.plugin.project import frame

LATEST = 750 * BLOCK  # a rig that is not heard within a second is missed
ROOM = 188 * BLOCK  # 250 ms of signal a swap: how long a rig is warmed is not known beforehand
BATCH = 100
FADE_FRAMES = 480  # 10 ms
BEGUN = 2e-7  # more than the plugin is off the daemon while its old rig plays, so softly
QUIET_DB = -36
TOOL = hosts.BUILD / "tests" / "plugin_rig"


def ten(root: Path) -> tuple[dict[str, Plan], dict[str, bytes]]:
    """The daemon's ten rigs in an empty folder, and what a host has that keeps each in a project.

    They play so softly that the ceiling, which remembers for 80 ms what was loud, never acts.
    """
    (root / "models").mkdir()
    (root / "rigs").mkdir()
    output = f"output: {{gain_db: {QUIET_DB}, level: normalized}}\n"
    texts = {name: f"{output}{text}\n" for name, text in ten_rigs.without_tails().items()}
    shelf = ten_rigs.library(root / "models")
    states = {}
    for name, text in texts.items():
        rig, state = root / "rigs" / f"{name.split()[0]}.yaml", root / "state"
        rig.write_text(text, "utf-8")
        argv = [str(TOOL), "open", str(rig), str(state)]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
        states[name] = frame(state.read_bytes())
    return ten_rigs.plans_of(shelf, texts), states


def swapped(
    turns: Sequence[str],
    states: Mapping[str, bytes],
    steady: Mapping[str, Sound],
    signal: Signal,
) -> tuple[Sound, list[Switch], int]:
    """The signal through an instance that a host paces as real time does, and that opens one rig
    after another: (2, frames), the swaps that were heard, how many were missed.

    A swap begins where the sound leaves the old rig's; the next one is 100 ms later.  In a pause of
    the guitar two rigs are the same silence: such a swap is neither heard nor missed.
    """
    import minihost  # noqa: PLC0415 (GPL, and only where these figures are wanted)

    plugin = minihost.Plugin(str(hosts.VST3), RATE_HZ, BLOCK, 1, 2)
    # All once, so that each is read and its loudness known; never one twice in a row, which
    # minihost takes for a failure.
    for name in sorted(states, key=lambda each: each == turns[0]):
        plugin.set_state(states[name])
    heard = np.zeros((2, len(signal)), np.float32)
    out = np.zeros((2, BLOCK), np.float32)
    at, began = 0, time.monotonic()

    def play_block() -> slice:
        nonlocal at
        part = slice(at, at + BLOCK)
        plugin.process(np.ascontiguousarray(signal[None, part]), out)
        heard[:, part] = out
        at += BLOCK
        time.sleep(max(0.0, began + at / RATE_HZ - time.monotonic()))
        return part

    while at < LEAD:
        play_block()
    found: list[Switch] = []
    missed = 0
    for old, new in pairwise(turns):
        plugin.set_state(states[new])
        first = at
        begin, limit = -1, min(at + LATEST, len(signal))
        while begin < 0 and at < limit:
            part = play_block()
            differs = np.abs(heard[:, part] - steady[old][:, part]).max(axis=0) > BEGUN
            begin = part.start + int(np.argmax(differs)) if differs.any() else -1
        if begin < 0:
            alike = np.abs(steady[new][:, first:at] - steady[old][:, first:at]) <= BEGUN
            missed += not (at > first and alike.all())
            continue
        while at < min(begin + EVERY, len(signal)):
            play_block()
        found.append(Switch(old, new, begin, begin + FADE_FRAMES, at))
    return heard[:, :at], found, missed


def swap_figures(on: str, signal: Signal, swaps: int) -> None:
    """Swaps between the daemon's ten rigs, held to its figures; a new instance every BATCH, each
    with its share of the signal. All begin with the same rig, which takes a swap more, unjudged:
    with what an engine began decides where a resampler stands."""
    with tempfile.TemporaryDirectory() as folder:
        plans, states = ten(Path(folder))
        trims = setups(plans, Levels("normalized"))
        turns = [next(iter(plans)), *route(list(plans), swaps)]
        criteria: dict[str, list[float]] = {}
        switches: list[Switch] = []
        missed = 0
        for first in range(0, swaps, BATCH):
            some = turns[first : first + BATCH + 1]
            room = len(signal) // swaps // BLOCK * BLOCK
            part = signal[first * room : (first + len(some) - 1) * room]
            steady = steady_of(plans, trims, turns[0], part)
            more = [] if some[0] == turns[0] else [turns[0]]
            heard, found, late = swapped([*more, *some], states, steady, part)
            found = found[len(more) :] if found and found[0].new == some[0] else found
            # As loud as the ceiling would let them be heard.
            loud = np.float32(1 / max(np.abs(sound).max() for sound in steady.values()))
            told = {name: loud * sound for name, sound in steady.items()}
            heard, missed = loud * heard, missed + late
            for key, values in judge(heard, heard, (told, told), part, found).items():
                criteria.setdefault(key, []).extend(values)
            switches += found
        row = {"figure": f"{on}, swap in a host: not heard within a second", "value": missed}
        print(json.dumps({**row, "at_most": 0, "reached": missed == 0, "swaps": swaps}), flush=True)
        tell_found(criteria, switches, f"{on}, swap in a host")


def steady_of(
    plans: Mapping[str, Plan], trims: Mapping[str, Setup], first: str, signal: Signal
) -> dict[str, Sound]:
    """Every rig over the signal, as if it had always played in an instance that began with `first`:
    where a resampler stands is decided by the frames of the engine."""
    engine = Engine(RATE_HZ, threaded=False, safety=True)
    build(engine, 0, plans[first], trims[first])
    settle(engine)
    warm = WARM + engine.frame
    return {name: always(plans[name], trims[name], signal, True, warm) for name in plans}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--swaps", type=int, default=1000)
    swaps = int(parser.parse_args().swaps)
    for signal, on in ((sine(swaps * ROOM), "sine"), take(swaps * ROOM)):
        swap_figures(on, signal, swaps)


if __name__ == "__main__":
    main()
