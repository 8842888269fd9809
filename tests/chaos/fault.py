"""A fault that the box must survive: what is done to it, what is asked, how it went."""

from collections.abc import Callable
from dataclasses import dataclass


class NotHereError(Exception):
    """This machine cannot make the fault; the message says what it lacks."""


@dataclass(frozen=True)
class Result:
    """reached: the figure, for people. survived: what was asked, but for how long it took; in_time:
    that too, which says as much of the machine and of what else it does."""

    reached: str
    survived: bool
    in_time: bool = True

    @property
    def passed(self) -> bool:
        return self.survived and self.in_time


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    number: as in systemd/RELIABILITY.md, `F1`; what: the fault in words; asked: the figure.
    measure: makes the fault and looks. True: as often as the figure asks; False: a short form of
    a few seconds. Raises NotHereError.
    """

    number: str
    what: str
    asked: str
    measure: Callable[[bool], Result]
