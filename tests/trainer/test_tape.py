"""The tape and what an xrun does to it, driven cycle by cycle without JACK."""

import numpy as np
import pytest

from trainer.capture.levels import Levels, Watch, is_clipped
from trainer.capture.tape import (
    SETTLE_S,
    SUSPECT_S,
    Block,
    SlipError,
    Splicer,
    Tape,
    slip,
)
from trainer.errors import DataError
from trainer.signals import riff

RATE_HZ = 8000
PERIOD = 64
TAIL = 800
LATENCY = 130


class Graph:
    """A server's cycles: a clock, and gear that answers LATENCY frames later, doubled."""

    def __init__(self, tape: Tape, latency: int = LATENCY, first_frame: int = 0) -> None:
        self.tape, self.frame, self.latency = tape, first_frame, latency
        self.freewheel = False
        self._line: Block = np.zeros(4096, np.float32)

    def cycle(self) -> None:
        out, into = np.ones(PERIOD, np.float32), self._line[:PERIOD].copy()
        self.tape.process(out, into, self.frame)
        self._line = np.concatenate([self._line[PERIOD:], np.zeros(PERIOD, np.float32)])
        self._line[self.latency - PERIOD : self.latency] = 2 * out
        if not self.freewheel:
            self.frame = (self.frame + PERIOD) % (1 << 32)

    def until(self, position: int) -> None:
        while self.tape.rolling and self.tape.position < position:
            self.cycle()

    def to_the_end(self) -> None:
        self.until(len(self.tape.played))


@pytest.fixture
def sound() -> Block:
    return riff(8.0, RATE_HZ).astype(np.float32)


@pytest.fixture
def tape(sound: Block) -> Tape:
    tape = Tape(sound, TAIL)
    tape.roll(0)
    return tape


def answer(sound: Block) -> Block:
    """What the whole tape holds after a take without a fault."""
    return np.concatenate([np.zeros(LATENCY), 2 * sound, np.zeros(TAIL - LATENCY)]).astype("f4")


def go_on(graph: Graph, splicer: Splicer) -> int:
    """Wind back, let the gear forget, roll; returns from where."""
    position = splicer.wind_back()
    for _ in range(LATENCY):
        graph.cycle()
    graph.tape.roll(position)
    return position


def test_take_without_a_fault_is_the_answer_frame_for_frame(sound: Block, tape: Tape) -> None:
    Graph(tape).to_the_end()
    assert tape.done
    assert not tape.torn
    assert np.array_equal(tape.heard, answer(sound))


@pytest.mark.parametrize("first_frame", [0, 2**32 - 5 * PERIOD])
def test_clock_that_stands_still_or_wraps_around_tears_nothing(
    tape: Tape, first_frame: int
) -> None:
    graph = Graph(tape, first_frame=first_frame)
    graph.freewheel = first_frame == 0
    graph.to_the_end()
    assert not tape.torn


@pytest.mark.parametrize("how", ["told", "clock"])
def test_xrun_stops_the_tape_at_once_and_sends_silence(tape: Tape, how: str) -> None:
    graph = Graph(tape)
    graph.until(4 * RATE_HZ)
    at = tape.position
    if how == "told":
        tape.xruns += 1
    else:
        graph.frame += 17
    out = np.ones(PERIOD, np.float32)
    tape.process(out, np.ones(PERIOD, np.float32), graph.frame)
    assert tape.torn
    assert tape.position == at
    assert not out.any()


@pytest.mark.parametrize("seconds", [[4.0], [4.0, 4.3], [3.0, 7.9], [0.4, 5.0], [4.0, 2.2]])
def test_torn_take_is_spliced_to_what_it_would_have_been(
    sound: Block, tape: Tape, seconds: list[float]
) -> None:
    graph, splicer = Graph(tape), Splicer(tape, RATE_HZ)
    for second in seconds:
        graph.until(round(second * RATE_HZ))
        # What came in since the xrun that JACK tells of only now is rubbish.
        lost = round(0.9 * SUSPECT_S * RATE_HZ)
        tape.heard[max(0, tape.position - lost) : tape.position] = 0.5
        tape.xruns += 1
        graph.cycle()
        assert tape.torn
        assert go_on(graph, splicer) < second * RATE_HZ
    graph.to_the_end()
    splicer.finish()
    assert splicer.count == len(seconds)
    assert np.array_equal(tape.heard, answer(sound))


def test_second_tear_within_a_seam_proves_nothing_and_winds_back_as_far(
    sound: Block, tape: Tape
) -> None:
    graph, splicer = Graph(tape), Splicer(tape, RATE_HZ)
    starts = []
    for second in (4.0, 3.45):
        graph.until(round(second * RATE_HZ))
        # A buffer that comes twice: what it says of the timing is wrong.
        late = tape.heard[tape.position - 4200 : tape.position - 600].copy()
        tape.heard[tape.position - 3600 : tape.position] = 3 * late
        tape.xruns += 1
        graph.cycle()
        starts.append(go_on(graph, splicer))
    assert starts[0] == starts[1]
    graph.to_the_end()
    splicer.finish()
    assert np.array_equal(tape.heard, answer(sound))


def test_xrun_told_of_after_the_last_cycle_tears_the_tape(sound: Block, tape: Tape) -> None:
    graph, splicer = Graph(tape), Splicer(tape, RATE_HZ)
    graph.to_the_end()
    tape.heard[-PERIOD:] = 1.0
    tape.xruns += 1
    assert tape.torn
    go_on(graph, splicer)
    graph.to_the_end()
    splicer.finish()
    assert np.array_equal(tape.heard, answer(sound))


@pytest.mark.parametrize("change", [-1, 1, PERIOD])
def test_latency_that_changes_with_an_xrun_is_no_take(tape: Tape, change: int) -> None:
    graph, splicer = Graph(tape), Splicer(tape, RATE_HZ)
    graph.until(5 * RATE_HZ)
    tape.xruns += 1
    graph.cycle()
    graph.latency += change
    go_on(graph, splicer)
    graph.to_the_end()
    with pytest.raises(SlipError, match=f"latency changed by {change} frames"):
        splicer.finish()


def test_place_to_compare_has_sound(sound: Block) -> None:
    sound[3 * RATE_HZ : 6 * RATE_HZ] = 0
    tape = Tape(sound, TAIL)
    tape.roll(0)
    graph, splicer = Graph(tape), Splicer(tape, RATE_HZ)
    graph.until(round(5.9 * RATE_HZ))
    tape.xruns += 1
    graph.cycle()
    # It ends less than COMPARED_S after the sound does, and SETTLE_S more lie before it.
    assert splicer.wind_back() < (3 - SETTLE_S) * RATE_HZ


@pytest.mark.parametrize("lag", [-4096, -3, 0, 1, 4096])
def test_slip_is_the_lag_in_frames(lag: int) -> None:
    noise = np.random.default_rng(1).normal(size=20_000).astype(np.float32)
    assert slip(noise[5000:15_000], noise[5000 - lag : 15_000 - lag]) == lag


# --- levels


def levels(second: float, sent: float, heard: float, clipped: bool = False) -> Levels:
    return Levels(round(second * RATE_HZ), 10 * RATE_HZ, sent, heard, clipped, 0)


def watch() -> Watch:
    return Watch(np.array([0.5, -0.1], np.float32), RATE_HZ, "system:capture_1")


def test_silent_return_ends_the_take_within_seconds_of_sound() -> None:
    watching = watch()
    for tenth in range(50):
        watching.see(levels(tenth / 10, 0.0, 1e-5))  # nothing is sent: nothing is wrong
    for tenth in range(50, 63):
        watching.see(levels(tenth / 10, 0.1, 1e-5))
    with pytest.raises(DataError, match=r"system:capture_1: return silent \(peak -100 dBFS\)"):
        watching.see(levels(6.6, 0.1, 1e-5))


def test_soft_return_goes_on_and_is_remarked_on() -> None:
    watching = watch()
    for tenth in range(100):
        watching.see(levels(tenth / 10, 0.1, 0.01))
    assert watching.remark() == "the return peaks at -40.0 dBFS only: 28 dB more"


@pytest.mark.parametrize(
    ("sent", "heard", "words"),
    [
        (0.5, 2.0, r"clipped at 2\.0 s \(peak \+6\.0 dBFS\): turn it down by 9 dB"),
        (0.125, 1.0, r"still 12 dB below its loudest: turn it down by 3 dB, by 15 dB if"),
        (0.0, 1.0, r"turn it down by 3 dB"),
    ],
)
def test_clipped_return_says_by_how_many_db(sent: float, heard: float, words: str) -> None:
    with pytest.raises(DataError, match=words):
        watch().see(levels(2.0, sent, heard, clipped=True))


def test_hot_return_is_remarked_on() -> None:
    watching = watch()
    watching.see(levels(1.0, 0.5, 0.95))
    assert "3 dB less" in watching.remark()
    quiet = watch()
    quiet.see(levels(1.0, 0.5, 0.5))
    assert quiet.remark() == ""


def test_flat_top_is_clipping_and_a_single_full_frame_is_not() -> None:
    signal = np.array([0, 1, 1, 0, -1, 0, 0.5], np.float32)
    assert not is_clipped(signal)
    signal[3] = -1
    assert is_clipped(signal)
    assert not is_clipped(signal[:2])
