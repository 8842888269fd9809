"""A fault that the box must survive: what is done to it, what is asked, how it went."""

from collections.abc import Callable
from dataclasses import dataclass


class NotHereError(Exception):
    """This machine cannot make the fault; the message says what it lacks."""


@dataclass(frozen=True)
class Result:
    """reached: the figure, for people. passed: it is what was asked."""

    reached: str
    passed: bool


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
