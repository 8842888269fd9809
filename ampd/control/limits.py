"""How much of one sender is handled, and how much of everybody is logged.

A source has RATE_PER_S messages a second, BURST of them at once.  Beyond that only the newest one
of each address is kept, and handled as soon as its source has a turn again, in order of arrival: so
the last value always arrives.  Everything runs in the loop.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from ampd.codes import code

log = logging.getLogger(__name__)

RATE_PER_S = 2000
BURST = 200
MAX_SOURCES = 512
MAX_HELD = 256  # addresses of one source
MAX_HELD_BYTES = 1472  # of one message: what an Ethernet frame carries
MAX_HELD_ALL = 4096
TURN_S = 0.005
READ_PER_S = 20_000  # messages that are read of a stream whose source is over its limit
LOG_LINES_PER_S = 8  # and at most one more, which says how many were left out

Sender = TypeVar("Sender")


class Bucket:
    """Fills by `rate_per_s` up to `burst`."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self._left, self._filled_s = burst, time.monotonic()

    def take(self) -> bool:
        """Whether there was one left to take."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._filled_s) * self._rate_per_s)
        self._filled_s = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Buckets:
    """One for each machine that was heard of late."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def take(self, key: Hashable) -> bool:
        """Whether this one had one left to take."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= MAX_SOURCES:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = Bucket(self._rate_per_s, self._burst)
        self._buckets.move_to_end(key)
        return bucket.take()


class Source(Generic[Sender]):
    """What one source may still send, and what of it waits, oldest first. is_over: its last message
    was one too many."""

    def __init__(self) -> None:
        self.bucket = Bucket(RATE_PER_S, BURST)
        self.is_over = False
        self.held: OrderedDict[bytes, tuple[bytes, Sender]] = OrderedDict()


class Sources(Generic[Sender]):
    """Every source that was heard of late. handle: what is done with a message in its turn."""

    def __init__(self, handle: Callable[[bytes, Sender], None]) -> None:
        self._handle = handle
        self._sources: OrderedDict[Hashable, Source[Sender]] = OrderedDict()
        self._waiting: dict[Hashable, Source[Sender]] = {}  # those of which something is held
        self._held = 0
        self._timer: asyncio.TimerHandle | None = None

    def has_turn(self, key: Hashable) -> bool:
        """Whether the source may do one thing now that is not held for later."""
        return self._find(key).bucket.take()

    def is_over(self, key: Hashable) -> bool:
        """Whether the source sends more than is handled."""
        source = self._sources.get(key)
        return source is not None and source.is_over

    def take(self, key: Hashable, message: bytes, sender: Sender) -> None:
        """Handle one OSC message of the source now, or later, or drop it for a newer one."""
        source = self._waiting.get(key) or self._find(key)
        held = source.held
        source.is_over = bool(held) or not source.bucket.take()
        if not source.is_over:
            self._handle(message, sender)
            return
        if len(message) > MAX_HELD_BYTES:
            return
        address = message[: message.find(b"\0")]
        if address in held:  # most of a flood is this
            held[address] = (message, sender)
            held.move_to_end(address)
            return
        if not message.startswith(b"/"):
            return
        if len(held) >= MAX_HELD:
            held.popitem(last=False)
            self._held -= 1
        if self._held >= MAX_HELD_ALL:
            return
        held[address] = (message, sender)
        self._held += 1
        self._waiting[key] = source
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TURN_S, self._turn)

    def replace(self, key: Hashable, message: bytes) -> bool:
        """Whether it took the place of one that is held: most of a flood is done with here."""
        source = self._waiting.get(key)
        if source is None or len(message) > MAX_HELD_BYTES:
            return False
        held = source.held
        address = message[: message.find(b"\0")]
        if (before := held.get(address)) is None:
            return False
        held[address] = (message, before[1])
        held.move_to_end(address)
        return True

    def close(self) -> None:
        """Drop what is held."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()

    def _find(self, key: Hashable) -> Source[Sender]:
        source = self._sources.get(key)
        if source is None:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.popitem(last=False)
            source = self._sources[key] = Source()
        else:
            self._sources.move_to_end(key)
        return source

    def _turn(self) -> None:
        # First, so that nothing that goes wrong below leaves the rest waiting for ever.
        self._timer = asyncio.get_running_loop().call_later(TURN_S, self._turn)
        for key, source in list(self._waiting.items()):
            while source.held and source.bucket.take():
                _, (message, sender) = source.held.popitem(last=False)
                self._held -= 1
                self._handle(message, sender)
            if not source.held:
                del self._waiting[key]
        if not self._waiting:
            self._timer.cancel()
            self._timer = None


class Hush:
    """Keeps what strangers cause from filling the log: a few lines a second, and then how many
    were left out."""

    def __init__(self) -> None:
        self._began_s = float("-inf")
        self._lines = 0
        self._left_out = 0
        self._timer: asyncio.TimerHandle | None = None

    def has_room(self) -> bool:
        """Whether a line may be logged now; one that may not is counted."""
        now = time.monotonic()
        if now - self._began_s >= 1.0:
            self._tell_left_out()
            self._began_s, self._lines = now, 0
        self._lines += 1
        if self._lines <= LOG_LINES_PER_S:
            return True
        self._left_out += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(1.0, self._tell_left_out)
        return False

    def close(self) -> None:
        """Say how many were left out."""
        self._tell_left_out()

    def _tell_left_out(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._left_out:
            log.warning(
                "The network: %d more were left out within the second.",
                self._left_out,
                extra=code("HUSHED"),
            )
            self._left_out = 0
