"""Nobody hears the switch: a short form of tests/bench/switching.py and storms.py, offline and so
repeatable."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ampd._engine import BlockSpec, Engine, RigSpec
from ampd.rehearsal import Levels
from tests.bench import switching, ten_rigs
from tests.bench.storms import FIRST, MOST_RSS_MB, Storm, held
from tests.bench.switching import EVERY, LEAD, RATE_HZ

SWITCHES = 90  # every ordered pair of ten once
Found = dict[str, list[float]]


def found_on(folder: Path, signal: NDArray[np.float32]) -> Found:
    """The criteria of every switch (switching.judge)."""
    plans = ten_rigs.make(folder, tails=False)
    trims = switching.setups(plans, Levels("normalized"))
    steady = [
        {name: switching.always(plan, trims[name], signal, safety) for name, plan in plans.items()}
        for safety in (True, False)
    ]
    heard, switches = switching.switched(plans, trims, signal, SWITCHES, safety=True)
    bare, _ = switching.switched(plans, trims, signal, SWITCHES, safety=False)
    assert len({(switch.old, switch.new) for switch in switches}) == SWITCHES
    return switching.judge(heard, bare, (steady[0], steady[1]), signal, switches)


@pytest.fixture(scope="module")
def on_sine(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return found_on(tmp_path_factory.mktemp("rigs"), switching.sine(LEAD + SWITCHES * EVERY))


@pytest.fixture(scope="module")
def on_guitar(tmp_path_factory: pytest.TempPathFactory) -> Found:
    part, _ = switching.take(LEAD + SWITCHES * EVERY)
    return found_on(tmp_path_factory.mktemp("rigs"), part)


# 1.05: a fade adds to the steps of its two sounds at most their distance over its length.
def test_a_switch_makes_no_step(on_sine: Found, on_guitar: Found) -> None:
    assert max(on_sine["step"]) <= 1.05
    assert max(on_guitar["step"]) <= 1.05


# Two sines that are each other's inverse lose 2.1 dB over 10 ms; that is the worst there is.
def test_a_sine_keeps_its_level_through_a_switch(on_sine: Found) -> None:
    assert max(on_sine["over"]) <= 0.5
    assert min(on_sine["under"]) >= -2.1


# -60 dBFS, the figure; the stage that takes direct current off hears 45 ms before the switch.
def test_a_switch_makes_no_direct_current(on_sine: Found, on_guitar: Found) -> None:
    assert max(on_sine["dc"]) <= -60
    assert max(on_sine["brought"]) <= -60
    assert max(on_guitar["brought"]) <= -60


def test_a_switch_makes_no_silence(on_sine: Found, on_guitar: Found) -> None:
    assert max(on_sine["zeros"]) <= 1
    assert max(on_guitar["zeros"]) <= 1


# 1e-5 allows float32 to sum in another order; the recurrent one is in dB, far below that.
def test_after_a_fade_the_rig_sounds_as_if_it_had_always_played(
    on_sine: Found, on_guitar: Found
) -> None:
    assert max(on_sine["after"]) <= 1e-5
    assert max(on_guitar["after"]) <= 1e-5


def test_a_storm_of_switches_ends_on_the_last_and_leaves_nothing_behind(tmp_path: Path) -> None:
    storm = Storm(tmp_path, threaded=False)
    storm.blow(FIRST)
    before = held()
    storm.blow(FIRST)
    after = held()
    assert storm.last_wins()
    assert after.rss_mb <= before.rss_mb + MOST_RSS_MB
    assert (after.descriptors, after.threads) == (before.descriptors, before.threads)
    assert storm.all_there() == len(ten_rigs.RIGS) - 4  # a storm has the six cheap ones


def test_a_rig_built_anew_while_it_plays_stays_so_when_it_comes_back() -> None:
    """The chain that played before must not take the place of the new one in the slot."""
    engine = Engine(RATE_HZ, threaded=False, safety=False)
    engine.install(0, RigSpec())
    tone = np.full(64, 0.5, np.float32)

    def last() -> float:
        for _ in range(64):
            out = engine.process(tone)
            engine.service()
        return float(out[0][-1])

    for gain_db in (-6.0, -12.0):
        engine.install(1, RigSpec(blocks=[BlockSpec("gain", "gain", {"gain_db": gain_db})]))
        engine.select(1, True)
        last()
    engine.select(0)
    last()
    engine.select(1)
    assert last() == pytest.approx(0.5 * 10 ** (-12 / 20), rel=1e-6)


# Without a budget for two chains.
def test_a_duck_is_short_and_does_not_click(tmp_path: Path) -> None:
    plans = ten_rigs.make(tmp_path, tails=False)
    trims = switching.setups(plans, Levels("normalized"))
    steps, quiet = switching.ducks(plans, trims, switching.sine(LEAD + SWITCHES * EVERY))
    assert max(steps) <= 1.05
    assert max(quiet) <= 10


def test_an_amp_rig_is_not_the_clean_rig(tmp_path: Path) -> None:
    plans = ten_rigs.make(tmp_path)
    trims = switching.setups(plans, Levels("normalized"))
    part, _ = switching.take(RATE_HZ)
    clean, amp = (
        switching.always(plans[name], trims[name], part, False) for name in ("clean", "champ")
    )
    assert np.sqrt(np.mean((clean - amp) ** 2)) > 0.01
