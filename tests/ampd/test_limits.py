"""What one source may send, by a clock that the tests turn."""

import asyncio
import logging
from collections.abc import Coroutine

import pytest

from ampd.control import limits
from ampd.control.limits import (
    BURST,
    MAX_HELD,
    MAX_HELD_ALL,
    MAX_HELD_BYTES,
    MAX_SOURCES,
    RATE_PER_S,
    TURN_S,
    Bucket,
    Hush,
    Sources,
)
from ampd.control.packet import encode


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("ampd.control.limits.time.monotonic", lambda: now[0])
    return now


class Taken:
    """Messages that had their turn, by address, with a loop that turns when it is told to."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.sources: Sources[str] = Sources(lambda message, _: self.messages.append(message))

    def send(self, address: str, value: float = 0.0, source: str = "a") -> bytes:
        message = encode(address, [value])
        self.sources.take(source, message, "peer")
        return message

    def turn(self) -> None:
        self.sources._turn()


def run(story: Coroutine[None, None, None]) -> None:
    asyncio.run(story)


def test_bucket_gives_its_burst_and_then_its_rate(clock: list[float]) -> None:
    bucket = Bucket(100.0, 10.0)
    assert [bucket.take() for _ in range(11)] == [True] * 10 + [False]
    clock[0] += 0.055
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    clock[0] += 3600
    assert sum(bucket.take() for _ in range(100)) == 10


def test_source_has_two_thousand_a_second_and_a_burst(clock: list[float]) -> None:
    async def story() -> None:
        taken = Taken()
        for number in range(20_000):  # in two seconds
            clock[0] += 1e-4
            taken.send("/ampd/mix", number)
            if number % 50 == 0:
                taken.turn()
        assert 2 * RATE_PER_S <= len(taken.messages) <= 2 * RATE_PER_S + BURST

    run(story())


def test_last_value_of_each_address_arrives_in_the_order_of_arrival(clock: list[float]) -> None:
    async def story() -> None:
        taken = Taken()
        for number in range(BURST):
            taken.send("/ampd/tempo_bpm", number)
        last = {}
        for number in range(1000):
            for address in ("/ampd/mix", "/ampd/amp/gain_db", "/ampd/rig"):
                last[address] = taken.send(address, number)
        before = len(taken.messages)
        clock[0] += 1.0
        taken.turn()
        assert taken.messages[before:] == list(last.values())

    run(story())


def test_what_comes_while_something_waits_does_not_overtake_it(clock: list[float]) -> None:
    async def story() -> None:
        taken = Taken()
        for _ in range(BURST):
            taken.send("/ampd/mix")
        rig = taken.send("/ampd/rig", 1.0)
        clock[0] += 1.0  # there would be room, but the rig goes first
        gain = taken.send("/ampd/amp/gain_db", 2.0)
        taken.turn()
        assert taken.messages[-2:] == [rig, gain]

    run(story())


def test_loop_turns_by_itself_until_nothing_waits() -> None:
    async def story() -> None:
        taken = Taken()
        for _ in range(3 * BURST):
            last = taken.send("/ampd/mix")
        await asyncio.sleep(10 * TURN_S)
        assert taken.messages[-1] == last
        assert taken.sources._timer is None
        taken.sources.close()

    run(story())


def test_one_source_does_not_cost_another_its_turn(clock: list[float]) -> None:
    async def story() -> None:
        taken = Taken()
        for _ in range(10 * BURST):
            taken.send("/ampd/mix", source="loud")
        calm = taken.send("/ampd/mute", source="calm")
        assert taken.messages[-1] == calm

    run(story())


def test_nothing_grows_without_bound(clock: list[float]) -> None:
    async def story() -> None:
        taken = Taken()
        for source in range(MAX_SOURCES + 100):
            for number in range(BURST + 20):
                taken.send(f"/ampd/{number}", source=str(source))
        for number in range(BURST + 2 * MAX_HELD):
            taken.send(f"/ampd/many/{number}", source="many")
        sources = taken.sources
        assert len(sources._sources) <= MAX_SOURCES
        held = [len(each.held) for each in sources._waiting.values()]
        assert sum(held) <= MAX_HELD_ALL
        assert max(held) <= MAX_HELD

    run(story())


def test_what_is_too_long_or_no_message_is_not_held(clock: list[float]) -> None:
    async def story() -> None:
        taken = Taken()
        for _ in range(BURST):
            taken.send("/ampd/mix")
        held = taken.send("/ampd/rig")
        long = b"/ampd/rig\0" + b"a" * MAX_HELD_BYTES
        for message in (b"garbage!", b"", b"/" + b"a" * MAX_HELD_BYTES, long):
            taken.sources.take("a", message, "peer")
        clock[0] += 1.0
        taken.turn()
        assert taken.messages[BURST:] == [held]

    run(story())


def test_log_has_few_lines_a_second_and_says_how_many_it_left_out(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        hush = Hush()
        log = logging.getLogger("strangers")
        for second in range(3):
            for _ in range(1000):
                if hush.has_room():
                    log.warning("bad")
            assert len(caplog.records) <= 10 * (second + 1)
            clock[0] += 1.0
        hush.close()

    run(story())
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count("bad") == 3 * limits.LOG_LINES_PER_S
    left_out = 1000 - limits.LOG_LINES_PER_S
    assert lines.count(f"The network: {left_out} more were left out within the second.") == 3
