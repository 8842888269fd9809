"""What is heard of 1,000 switches between ten rigs, over all 90 pairs: one JSON line a figure.

    python -m tests.bench.switching [--switches 1000]

Offline, without threads and from fixed seeds: the same figures on every machine of one instruction
set.  Every rig is as loud as the others (normalized), where a dip is deepest.  What is heard is
held to the two rigs of the switch, each played alone over the same input for ever, before the
safety stage:

step    the largest step between two samples of a fade, over the largest that either rig has
level   RMS of 10 ms in the windows that touch the fade: their loudest over that of the louder rig,
        their softest under that of the softer one
dc      mean of the 100 ms around the fade (Hann), beyond those of the two rigs; of a sine alone, as
        any fade between low notes of a guitar has such a mean
brought mean of the 10 ms behind the fade, off that of the rig that always played
zeros   the longest run of zero samples in a fade whose input has none
after   the largest difference from the rig that always played, from the fade to the next switch;
        recurrent nets forget, but never quite: RMS of the difference under the rig's

What comes after the fade is compared before the safety stage and all that belongs to it; the rest
is what is heard.  The tails of a rig with delay and reverb ring on over the next ones, as they
must: all is judged with their mix at 0.  Then the same switches are played with them, and the
difference of both is the tails alone: their largest step in a fade is held to that outside of all.

"duck": with a budget of 0 a switch is a duck, whose RMS of 1 ms lies 1 dB under the softer rig for
10 ms at most.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampd.bank import Plan
from ampd.rack import Engine, Setup, build
from ampd.rehearsal import Levels, levelled, settle
from tests.bench import ten_rigs
from tests.demo import guitar
from tests.engine.conftest import SHARED

RATE_HZ = 48_000
BLOCK = 64
EVERY = 75 * BLOCK  # 100 ms from switch to switch
LEAD = 75 * BLOCK  # before the first
LEVEL_FRAMES = 480
DC_FRAMES = 4800
WARM = 2 * RATE_HZ // (64 * 147) * (64 * 147)  # silence before: whole grids of a resampler
DUCK_MS = 10
DUCK_LEAD = 480  # before its new rig is audible the old one has gone down
PAIRS = 90
SOFTEST = 1e-4  # -80 dBFS: a level below counts as this, no ratio of two silences is heard
STEP, LOUDER_DB, SOFTER_DB, DC_DBFS, AFTER, RECURRENT_DB = 1.05, 0.5, -3.0, -60.0, 1e-5, -60.0

Sound = NDArray[np.float32]  # (2, frames)
Signal = NDArray[np.float32]


@dataclass(frozen=True)
class Switch:
    old: str
    new: str
    audible: int  # first frame of the new rig
    over: int  # first frame after the fade
    until: int  # of the next switch


def sine(frames: int) -> Signal:
    """997 Hz, -12 dBFS."""
    wave = 10 ** (-12 / 20) * np.sin(2 * np.pi * 997 / RATE_HZ * np.arange(frames))
    return np.asarray(wave, np.float32)


def take(frames: int) -> tuple[Signal, str]:
    """The captured guitar where it is present, else the own part, as often as it takes."""
    path = SHARED / "captures" / "di.flac"
    if path.exists():
        signal, _ = soundfile.read(path, dtype="float32", start=RATE_HZ * 10, frames=frames)
        return np.resize(signal, frames), "DI"
    return np.resize(guitar.make().astype(np.float32), frames), "own guitar part"


def route(names: Sequence[str], count: int) -> list[str]:
    """Where to go, from names[0] on: of the pairs that were used least, one by lot."""
    random = np.random.default_rng(1)
    used = np.zeros((len(names), len(names)))
    np.fill_diagonal(used, np.inf)
    here, there = 0, []
    for _ in range(count):
        least = np.flatnonzero(used[here] == used[here].min())
        # Of those the one that was left least often, so that no corner is left out.
        left = np.array([np.sum(used[n][np.isfinite(used[n])]) for n in least])
        there.append(int(random.choice(least[left == left.min()])))
        used[here, there[-1]] += 1
        here = there[-1]
    return [names[n] for n in there]


def setups(plans: Mapping[str, Plan], levels: Levels) -> dict[str, Setup]:
    return {name: levelled(plan, RATE_HZ, levels) for name, plan in plans.items()}


def always(plan: Plan, setup: Setup, signal: Signal, safety: bool, warm: int = WARM) -> Sound:
    """The rig over the signal, having heard two seconds of silence before: `warm` frames."""
    engine = Engine(RATE_HZ, threaded=False, safety=safety)
    build(engine, 0, plan, setup)
    settle(engine)
    # The frames of the engine decide where a resampler stands, so they are the same everywhere.
    engine.process(np.zeros(warm - engine.frame, np.float32), BLOCK)
    return engine.process(signal, BLOCK)


def switched(
    plans: Mapping[str, Plan],
    setups: Mapping[str, Setup],
    signal: Signal,
    count: int,
    safety: bool,
    budget: float = 1e9,
) -> tuple[Sound, list[Switch]]:
    """The signal with `count` switches in it, from the first rig on, and where they were heard."""
    names = list(plans)
    # Without bounds, or a busy machine would decide what is a fade and what a duck.
    engine = Engine(RATE_HZ, threaded=False, safety=safety, budget=budget)
    for slot, name in enumerate(names):
        build(engine, slot, plans[name], setups[name])
    settle(engine)
    engine.process(np.zeros(WARM - engine.frame, np.float32), BLOCK)
    engine.service()
    heard, switches, old = [engine.process(signal[:LEAD], BLOCK)], [], names[0]
    for turn, new in enumerate(route(names, count)):
        engine.select(names.index(new))
        begin, until = (LEAD + at * EVERY for at in (turn, turn + 1))
        for at in range(begin, until, BLOCK):
            heard.append(engine.process(signal[at : at + BLOCK], BLOCK))
            engine.service()
        frames = {fact.kind: fact.frame - WARM for fact in engine.facts()}
        switches.append(Switch(old, new, frames["audible"], frames["switched"], until))
        old = new
    return np.concatenate(heard, axis=1), switches


def db(ratio: float) -> float:
    return 20 * float(np.log10(max(ratio, 1e-10)))


def zero_run(signal: Signal) -> int:
    """The longest run of samples that are exactly zero."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], signal == 0, [0]))))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def running_rms(sound: Sound, first: int, last: int) -> NDArray[np.float64]:
    """(2, windows): of the windows that begin at first..last."""
    square = sound[:, first : last + LEVEL_FRAMES].astype(float) ** 2
    sums = np.cumsum(np.pad(square, ((0, 0), (1, 0))), axis=1)
    means = (sums[:, LEVEL_FRAMES:] - sums[:, :-LEVEL_FRAMES]) / LEVEL_FRAMES
    return np.asarray(np.maximum(np.sqrt(np.maximum(means, 0)), SOFTEST), np.float64)


def step_of(heard: Sound, largest: Mapping[str, float], switch: Switch) -> float:
    fade = heard[:, switch.audible - 1 : switch.over + 1]
    return float(np.abs(np.diff(fade)).max()) / max(largest[switch.old], largest[switch.new])


def levels_of(heard: Sound, old: Sound, new: Sound, switch: Switch) -> tuple[float, float]:
    """(dB over the louder, dB over the softer) of the worst windows."""
    first, last = switch.audible - LEVEL_FRAMES + 1, switch.over
    last = min(last, heard.shape[1] - LEVEL_FRAMES)
    there, before, behind = (running_rms(sound, first, last) for sound in (heard, old, new))
    over = there.max(axis=1) / np.maximum(before.max(axis=1), behind.max(axis=1))
    under = there.min(axis=1) / np.minimum(before.min(axis=1), behind.min(axis=1))
    return db(float(over.max())), db(float(under.min()))


def dc_of(heard: Sound, old: Sound, new: Sound, switch: Switch) -> float:
    """How far the direct current around the fade lies outside that of the two rigs, dBFS."""
    middle = (switch.audible + switch.over) // 2
    first = max(0, middle - DC_FRAMES // 2)
    window = np.hanning(DC_FRAMES)[: heard.shape[1] - first]
    window /= window.sum()
    means = [sound[:, first : first + len(window)] @ window for sound in (heard, old, new)]
    low, high = np.minimum(means[1], means[2]), np.maximum(means[1], means[2])
    return db(float(np.max(np.maximum(low - means[0], means[0] - high))))


def brought_of(heard: Sound, new: Sound, switch: Switch) -> float:
    """Direct current behind the fade, off the rig that always played, dBFS."""
    part = slice(switch.over, switch.over + LEVEL_FRAMES)
    return db(float(np.abs((heard[:, part] - new[:, part]).mean(axis=1)).max()))


def after_of(heard: Sound, new: Sound, switch: Switch) -> float:
    part = slice(switch.over, switch.until)
    if switch.new != ten_rigs.RECURRENT:
        return float(np.abs(heard[:, part] - new[:, part]).max())
    off = float(np.sqrt(np.mean((heard[:, part] - new[:, part]) ** 2)))
    return db(off / max(float(np.sqrt(np.mean(new[:, part] ** 2))), SOFTEST))


def quiet_ms(heard: Sound, old: Sound, new: Sound, switch: Switch) -> float:
    """How long a duck lies 1 dB under the softer rig, in RMS of 1 ms."""
    part = slice(max(0, switch.audible - 960), switch.over + 960)
    kernel = np.full(48, 1 / 48)

    def rms(sound: Sound) -> NDArray[np.float64]:
        return np.sqrt(np.convolve(sound[0, part].astype(float) ** 2, kernel, "same"))

    softer = np.minimum(rms(old), rms(new))
    return float(np.sum(rms(heard) < 10 ** (-1 / 20) * softer)) / 48


def judge(
    heard: Sound,
    bare: Sound,
    steady: tuple[Mapping[str, Sound], Mapping[str, Sound]],
    signal: Signal,
    switches: Sequence[Switch],
) -> dict[str, list[float]]:
    """The criteria of every switch. heard, bare: with and before the safety stage; steady: so."""
    largest = {name: float(np.abs(np.diff(sound)).max()) for name, sound in steady[0].items()}
    found: dict[str, list[float]] = {
        key: [] for key in ("step", "over", "under", "dc", "zeros", "brought")
    }
    found["after"] = []
    for switch in switches:
        old, new = steady[0][switch.old], steady[0][switch.new]
        found["step"].append(step_of(heard, largest, switch))
        over, under = levels_of(heard, old, new, switch)
        found["over"].append(over)
        found["under"].append(under)
        found["dc"].append(dc_of(heard, old, new, switch))
        found["brought"].append(brought_of(heard, new, switch))
        fade = slice(switch.audible, switch.over)
        silent = zero_run(signal[fade]) > 1
        found["zeros"].append(0 if silent else max(zero_run(side[fade]) for side in heard))
        found["after"].append(after_of(bare, steady[1][switch.new], switch))
    return found


def tail_steps(tails: Sound, switches: Sequence[Switch]) -> float:
    """The largest step of the tails alone in a fade, over the largest outside of all fades."""
    steps = np.abs(np.diff(tails)).max(axis=0)
    inside = np.zeros(len(steps), bool)
    for switch in switches:
        inside[switch.audible - 1 : switch.over + 1] = True
    return float(steps[inside].max() / max(steps[~inside].max(), 1e-9))


def tell(
    figure: str,
    values: Sequence[float],
    switches: Sequence[Switch],
    limit: float,
    at_least: bool = False,
    **more: object,
) -> bool:
    """One line: the worst value, how many switches are outside, the pair of the worst."""
    array = np.asarray(values)
    at = int(array.argmin() if at_least else array.argmax())
    outside = int(np.sum(array < limit if at_least else array > limit))
    row = {
        "figure": figure,
        "value": float(f"{array[at]:.4g}"),
        "at_least" if at_least else "at_most": limit,
        "reached": outside == 0,
        "switches": len(switches),
        "outside": outside,
        "pair": f"{switches[at].old} -> {switches[at].new}",
    }
    print(json.dumps({**row, **more}), flush=True)
    return outside == 0


def tell_fades(plans: Mapping[str, Plan], wet: Mapping[str, Plan], signal: Signal, on: str) -> None:
    trims = setups(plans, Levels("normalized"))
    count = (len(signal) - LEAD) // EVERY
    steady = tuple(
        {name: always(plan, trims[name], signal, safety) for name, plan in plans.items()}
        for safety in (True, False)
    )
    heard, switches = switched(plans, trims, signal, count, safety=True)
    bare, _ = switched(plans, trims, signal, count, safety=False)
    tell_found(judge(heard, bare, (steady[0], steady[1]), signal, switches), switches, on)
    with_tails, _ = switched(wet, trims, signal, count, safety=False)
    ratio = tail_steps(with_tails - bare, switches)
    tell(f"{on}: step of the tails in a fade over outside", [ratio], switches[:1], STEP)


def tell_found(found: Mapping[str, list[float]], switches: Sequence[Switch], on: str) -> None:
    """The lines of what was judged; on: what was played, "sine" first where it was that."""
    tell(f"{on}: step in a fade over the steady step", found["step"], switches, STEP)
    tell(f"{on}: level over the louder rig, dB", found["over"], switches, LOUDER_DB)
    tell(f"{on}: level under the softer rig, dB", found["under"], switches, SOFTER_DB, True)
    if on.startswith("sine"):
        tell(f"{on}: direct current of a fade, dBFS", found["dc"], switches, DC_DBFS)
    tell(f"{on}: direct current brought by a rig, dBFS", found["brought"], switches, DC_DBFS)
    tell(f"{on}: run of zeros in a fade", found["zeros"], switches, 1)
    for recurrent, limit, name in (
        (False, AFTER, "largest"),
        (True, RECURRENT_DB, "dB, recurrent"),
    ):
        chosen = [n for n, s in enumerate(switches) if (s.new == ten_rigs.RECURRENT) == recurrent]
        values = [found["after"][n] for n in chosen]
        some = [switches[n] for n in chosen]
        if chosen:
            tell(f"{on}: after the fade off the steady rig, {name}", values, some, limit)


def ducks(
    plans: Mapping[str, Plan], trims: Mapping[str, Setup], signal: Signal
) -> tuple[list[float], list[float]]:
    """(steps, ms of quiet) of a duck between every two rigs."""
    steady = {name: always(plan, trims[name], signal, True) for name, plan in plans.items()}
    largest = {name: float(np.abs(np.diff(sound)).max()) for name, sound in steady.items()}
    heard, switches = switched(plans, trims, signal, PAIRS, safety=True, budget=0.0)
    steps, quiet = [], []
    for switch in switches:
        whole = replace(switch, audible=switch.audible - DUCK_LEAD)
        steps.append(step_of(heard, largest, whole))
        quiet.append(quiet_ms(heard, steady[switch.old], steady[switch.new], switch))
    return steps, quiet


def tell_ducks(plans: Mapping[str, Plan], signal: Signal, on: str) -> None:
    steps, quiet = ducks(plans, setups(plans, Levels("normalized")), signal)
    pairs = switched_pairs(plans)
    tell(f"{on}: step in a duck over the steady step", steps, pairs, STEP)
    tell(f"{on}: how long a duck is quieter, ms", quiet, pairs, DUCK_MS)


def switched_pairs(plans: Mapping[str, Plan]) -> list[Switch]:
    names = [next(iter(plans)), *route(list(plans), PAIRS)]
    return [Switch(old, new, 0, 0, 0) for old, new in pairwise(names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--switches", type=int, default=1000)
    frames = LEAD + EVERY * int(parser.parse_args().switches)
    with tempfile.TemporaryDirectory() as dry, tempfile.TemporaryDirectory() as wet:
        plans = ten_rigs.make(Path(dry), tails=False)
        with_tails = ten_rigs.make(Path(wet))
        for signal, on in ((sine(frames), "sine"), take(frames)):
            tell_fades(plans, with_tails, signal, on)
        tell_ducks(plans, sine(LEAD + PAIRS * EVERY), "sine")


if __name__ == "__main__":
    main()
