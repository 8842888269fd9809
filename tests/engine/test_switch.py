"""Nobody hears the switch: 200 of them among the shipped rigs, offline and so repeatable."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from ampd import _engine
from ampd.bank import plan_rig
from ampd.library import Library
from ampd.session import build
from tests.engine.conftest import MODELS, ROOT

RIGS = ("clean", "drive", "amp")
BLOCK = 64
SETTLE = np.zeros(48000, np.float32)


def rack(safety: bool) -> _engine.Engine:
    """An engine without threads, with the shipped rigs in slots 0, 1, 2."""
    engine = _engine.Engine(48000, threaded=False, safety=safety)
    library = Library(ROOT / "rigs", MODELS)
    for slot, name in enumerate(RIGS):
        build(engine, slot, plan_rig(library, library.load_rig(name)))
    return engine


def play(engine: _engine.Engine, signal: NDArray[np.float32]) -> NDArray[np.float32]:
    blocks = []
    for at in range(0, len(signal), BLOCK):
        blocks.append(engine.process(signal[at : at + BLOCK], BLOCK))
        engine.service()
    return np.concatenate(blocks, axis=1)


def always(slot: int, signal: NDArray[np.float32], safety: bool) -> NDArray[np.float32]:
    """What a rig gives that has played since long before the signal."""
    engine = rack(safety)
    engine.select(slot)
    play(engine, SETTLE)
    left: NDArray[np.float32] = play(engine, signal)[0]
    return left


@dataclass
class Switch:
    slot: int
    audible: int  # first frame of the new rig
    over: int  # first frame after the fade


def play_with_switches(
    signal: NDArray[np.float32], safety: bool, count: int
) -> tuple[NDArray[np.float32], list[Switch]]:
    """Start on rig 0, then switch `count` times at regular distances, in a fixed random order."""
    engine = rack(safety)
    engine.select(0)
    play(engine, SETTLE)
    engine.facts()
    random = np.random.default_rng(1)
    every = len(signal) // BLOCK // count * BLOCK
    slot = 0
    pieces: list[NDArray[np.float32]] = []
    for _ in range(count):
        slot = int((slot + random.integers(1, 3)) % 3)
        engine.select(slot)
        pieces.append(play(engine, signal[len(pieces) * every : (len(pieces) + 1) * every])[0])
    facts = engine.facts()
    audible = [fact for fact in facts if fact.kind == "audible"]
    over = [fact for fact in facts if fact.kind == "switched"]
    switches = [
        Switch(a.slot, a.frame - len(SETTLE), o.frame - len(SETTLE))
        for a, o in zip(audible, over, strict=True)
    ]
    assert len(switches) == count
    return np.concatenate(pieces), switches


def zero_runs(signal: NDArray[np.float32]) -> int:
    """Longest run of samples that are exactly zero."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], signal == 0, [0]))))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def check_sound_of_switches(signal: NDArray[np.float32], count: int) -> float:
    """Steps and zeros, as heard behind the safety stage; returns the worst step ratio."""
    heard, switches = play_with_switches(signal, safety=True, count=count)
    steady = [always(slot, signal, safety=True) for slot in range(3)]
    largest = [float(np.max(np.abs(np.diff(sound)))) for sound in steady]
    worst = 0.0
    for before, now in pairwise([Switch(0, 0, 0), *switches]):
        window = slice(now.audible - 1, now.over + 1)
        step = float(np.max(np.abs(np.diff(heard[window]))))
        worst = max(worst, step / max(largest[before.slot], largest[now.slot]))
        if zero_runs(signal[window]) <= 1:
            assert zero_runs(heard[window]) <= 1
    return worst


def worst_difference_after_fades(signal: NDArray[np.float32], count: int) -> float:
    """Before the safety stage: the largest distance from a rig that has always been playing."""
    heard, switches = play_with_switches(signal, safety=False, count=count)
    steady = [always(slot, signal, safety=False) for slot in range(3)]
    ends = [switch.audible for switch in switches[1:]] + [len(heard)]
    return max(
        float(np.max(np.abs(heard[switch.over : end] - steady[switch.slot][switch.over : end])))
        for switch, end in zip(switches, ends, strict=True)
    )


# 1.05: a fade adds to the steps of its two sounds at most their distance over its length.
def test_switches_on_the_own_guitar_part_are_not_heard(guitar: NDArray[np.float32]) -> None:
    assert check_sound_of_switches(guitar, 40) <= 1.05


# 1e-5 allows float32 to sum in another order; the same kernels give the same bits.
def test_after_a_fade_the_rig_sounds_as_if_it_had_always_played(
    guitar: NDArray[np.float32],
) -> None:
    assert worst_difference_after_fades(guitar, 40) <= 1e-5


def test_two_hundred_switches_on_the_captured_di(captured_di: NDArray[np.float32]) -> None:
    step = check_sound_of_switches(captured_di, 200)
    difference = worst_difference_after_fades(captured_di, 200)
    print(f"200 switches: step {step:.3f} of the steady step, difference {difference:.1e}")
    assert step <= 1.05
    assert difference <= 1e-5


@pytest.mark.parametrize("slot", [1, 2])
def test_an_amp_rig_is_not_the_clean_rig(slot: int, guitar: NDArray[np.float32]) -> None:
    clean, amp = always(0, guitar, safety=False), always(slot, guitar, safety=False)
    assert np.sqrt(np.mean((clean - amp) ** 2)) > 0.01
