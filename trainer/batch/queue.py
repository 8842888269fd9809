"""Captures handed to an executor, and how each of them stands."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from trainer.batch.captures import Capture, Refused
from trainer.batch.work import Failure, Result, Update, stored_result

WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"
STARTS = 4  # of one capture: its process may die three times, which is bad luck, not a habit
POLL_S = 0.5


@dataclasses.dataclass(frozen=True)
class Death:
    """The process of a capture ended without a word: killed, out of memory, its machine gone."""

    text: str


Message = Update | Result | Failure | Death


class Executor(Protocol):
    """Where captures are worked on, each in a process of its own."""

    def slots(self) -> int:
        """How many captures it takes at once; may change as machines come and go."""

    def start(self, number: int, capture: Capture) -> None:
        """Begin with a capture; `number` names it in `poll`."""

    def poll(self, seconds: float) -> list[tuple[int, Message]]:
        """What was heard since the last call, in order; waits up to `seconds` if nothing was.

        Of each number that was started the last message is a Result, a Failure or a Death.
        """

    def stop(self) -> None:
        """Ask every capture to keep its best weights and end; poll tells when they have."""

    def close(self) -> None:
        """End whatever still runs, and give everything back."""


@dataclasses.dataclass
class Row:
    """One capture and how it stands."""

    capture: Capture | Refused
    state: str = WAITING
    update: Update = dataclasses.field(default_factory=Update)
    result: Result | None = None
    text: str = ""  # why it failed, or how often it was started again
    starts: int = 0
    started_s: float = 0.0  # on the monotonic clock
    took_s: float = math.nan  # of a capture that ended in this session


class Queue:
    """Every capture of a batch, until each is done, failed or stopped.

    tell: called with a row when it has changed
    note: called with a row and a sentence that a person should see once
    """

    def __init__(
        self,
        captures: Sequence[Capture | Refused],
        executor: Executor,
        tell: Callable[[Row], None],
        note: Callable[[Row, str], None],
    ) -> None:
        self.rows = [_first_row(capture) for capture in captures]
        self._executor, self._tell, self._note = executor, tell, note
        self._stopping = False

    def stop(self) -> None:
        """Start nothing more, let what runs keep its best; safe in a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Returns when nothing runs any more."""
        asked = False
        while self._running() or (self._waiting() and not self._stopping):
            if self._stopping and not asked:
                asked = True
                self._executor.stop()
            if not self._stopping:
                self._fill()
            for number, message in self._executor.poll(POLL_S):
                self._hear(self.rows[number], message)

    def seconds_left(self) -> float:
        """Of the whole batch, from what its captures took or are going to take; inf: unknown."""
        running, waiting = self._running(), self._waiting()
        left = [row.update.seconds_left for row in running]
        known = [row.took_s for row in self.rows if math.isfinite(row.took_s)]
        now = time.monotonic()
        known += [now - row.started_s + row.update.seconds_left for row in running]
        if waiting and not known:
            return math.inf
        work = sum(left) + (len(waiting) * sum(known) / len(known) if waiting else 0.0)
        return max([*left, work / max(1, self._executor.slots())])

    def _running(self) -> list[Row]:
        return [row for row in self.rows if row.state == RUNNING]

    def _waiting(self) -> list[Row]:
        return [row for row in self.rows if row.state == WAITING]

    def _fill(self) -> None:
        free = self._executor.slots() - len(self._running())
        for row in self._waiting()[: max(0, free)]:
            assert isinstance(row.capture, Capture)
            row.state, row.starts, row.started_s = RUNNING, row.starts + 1, time.monotonic()
            row.update = Update()
            self._executor.start(self.rows.index(row), row.capture)
            self._tell(row)

    def _hear(self, row: Row, message: Message) -> None:
        if isinstance(message, Update):
            row.update = message
            for text in message.notes:
                self._note(row, text)
        elif isinstance(message, Result):
            row.result, row.state = message, DONE if message.finished else STOPPED
            row.took_s = time.monotonic() - row.started_s
        elif isinstance(message, Failure):
            row.state, row.text = FAILED, message.text
        else:
            self._hear_death(row, message)
        self._tell(row)

    def _hear_death(self, row: Row, death: Death) -> None:
        if self._stopping:
            row.state, row.text = STOPPED, death.text
        elif row.starts < STARTS:
            row.state = WAITING
            row.text = f"started {row.starts + 1} times: {death.text}"
            self._note(row, f"{death.text}; it goes on from its newest checkpoint")
        else:
            row.state = FAILED
            row.text = f"given up after {STARTS} starts: {death.text}; look at its memory and log"


def _first_row(capture: Capture | Refused) -> Row:
    if isinstance(capture, Refused):
        return Row(capture, FAILED, text=capture.text)
    result = stored_result(capture)
    return Row(capture, WAITING) if result is None else Row(capture, DONE, result=result)
