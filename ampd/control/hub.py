"""Who hears what, and when: the subscribers of every way in.

A change goes to each subscriber whose pattern matches it: at most 50 times a second an address, the
last value always, and to the one that caused it 100 ms after its last message there, so that a
fader is not pulled back under the finger and a toggle is true in the end.  What nobody commands
(load, xruns, lists of rigs) is looked at while somebody listens.  Everything runs in the loop.
"""

import asyncio
import re
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from ampd.control.gate import Place, Rights
from ampd.control.machine import Machine, look
from ampd.control.params import (
    FIXED,
    NORM,
    ROOT,
    Answer,
    find,
    norm_of,
    read,
    rows,
)
from ampd.errors import CommandError
from ampd.session import Session
from ampd.state import Change, Event, Faulted, Swapped, Tuned

MAX_SUBSCRIBERS = 32
MAX_GUESTS, MAX_OF_GUEST = 16, 4  # of them, so that the others find room; of one machine
MAX_PATTERNS = 16  # of one subscriber
MIN_GAP_S = 0.02  # between two values of one address for one subscriber
HOLD_S = 0.1
LOOK_PERIOD_S = 0.2
MACHINE_PERIOD_S = 2.0
METER_PERIOD_S = 0.04
METERS = (ROOT + "meter/in", ROOT + "meter/out")
TOKENS = re.compile(r"\[[^]]*\]|\{[^}]*\}|.")
TOLERANCE = 1e-3  # of what is only looked at: a change smaller than this share is none


class Peer(Hashable, Protocol):
    """One that messages can be sent to. Equal peers are the same one."""

    @property
    def rights(self) -> Rights:
        """What it may do."""

    @property
    def place(self) -> Place:
        """Where it sends from: host and port."""

    @property
    def is_known(self) -> bool:
        """Whether it is certain to be there: a datagram's sender may be forged."""

    def send(self, address: str, arguments: Answer) -> None:
        """Send one message; never blocks, and never raises for a peer that is gone."""


@dataclass(frozen=True)
class Paired:
    """A peer that showed the pairing token. prefix: what it puts before addresses, and so is told
    them with: "TOKEN/"; counter: of its message, where that was signed."""

    peer: Peer
    prefix: str = ""
    counter: int = field(default=0, compare=False)

    @property
    def rights(self) -> Rights:
        return max(self.peer.rights, Rights.PAIRED)

    @property
    def place(self) -> Place:
        return self.peer.place

    @property
    def is_known(self) -> bool:
        return True

    def send(self, address: str, arguments: Answer) -> None:
        if self.prefix:
            address = f"{ROOT}{self.prefix}{address.removeprefix(ROOT)}"
        self.peer.send(address, arguments)

    def __str__(self) -> str:
        return str(self.peer)


@dataclass
class Subscriber:
    """What one peer hears, until when (monotonic seconds), and what is held back for it."""

    until_s: float
    lease_s: float
    hold_s: float = HOLD_S  # after its own last message
    patterns: dict[str, Callable[[str], bool]] = field(default_factory=dict)
    exact: set[str] = field(default_factory=set)  # addresses that it named one by one
    touched_s: dict[str, float] = field(default_factory=dict)  # its own last message there
    sent_s: dict[str, float] = field(default_factory=dict)
    held: dict[str, tuple[float, Answer]] = field(default_factory=dict)  # due when, and what

    def hears(self, address: str) -> bool:
        return address in self.exact or any(wants(address) for wants in self.patterns.values())


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a pattern matches an address. Raises CommandError.

    Without * ? [ { it is the start of addresses; * is any characters, also none. The /norm forms
    are heard by patterns that end so, and by no other.
    """
    if pattern and not pattern.startswith("/"):
        pattern = ROOT + pattern
    wants_norm = pattern.endswith(NORM)
    if not set("*?[{") & set(pattern) and not wants_norm:
        pattern += "*"
    try:
        expression = re.compile(_expression(pattern))
    except re.error as error:
        raise CommandError(f"subscribe: {pattern!r} is no pattern ({error}).") from error
    return lambda address: (
        address.endswith(NORM) == wants_norm and expression.fullmatch(address) is not None
    )


def _expression(pattern: str) -> str:
    """As a regular expression. What stands between two * is found as early as it can be, for good:
    so no pattern takes long."""
    parts = [""]
    for token in TOKENS.findall(pattern):
        if token == "*":
            parts.append("")
        elif token == "?":
            parts[-1] += "."
        elif token[0] == "{":
            parts[-1] += f"(?:{'|'.join(re.escape(word) for word in token[1:-1].split(','))})"
        elif token[0] == "[" and len(token) > 1:
            letters = re.escape(token[1:-1].removeprefix("!")).replace(r"\-", "-")
            parts[-1] += f"[{'^' if token[1] == '!' else ''}{letters}]"
        else:
            parts[-1] += re.escape(token)
    first, *middle = parts
    if not middle:
        return first
    last = middle.pop()
    return first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last


class Hub:
    """The subscribers of a session. open() begins to listen; close() ends it."""

    def __init__(self, session: Session) -> None:
        self.machine = Machine()
        self._session = session
        self._subscribers: dict[Peer, Subscriber] = {}
        self._seen: dict[str, Answer] = {}
        self._metered: dict[str, Answer] = {}
        self._paths: frozenset[str] = frozenset()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._end_events: Callable[[], None] = lambda: None
        self._tree_callbacks: list[Callable[[], None]] = []

    def open(self) -> None:
        """Begin to pass on what happens."""
        self._end_events = self._session.subscribe(self._pass_on)
        self._tasks = [
            asyncio.create_task(self._look(), name="hub"),
            asyncio.create_task(self._meter(), name="meters"),
        ]

    async def close(self) -> None:
        """Pass on nothing more."""
        self._end_events()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def on_tree_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever other addresses are there than before."""
        self._tree_callbacks.append(callback)

    # --- subscriptions --------------------------------------------------------------------------

    def subscribe(self, peer: Peer, pattern: str, lease_s: float, holds: bool = True) -> None:
        """Dump what the pattern matches, then pass on its changes, besides those of the patterns
        that this one asked for before. Raises CommandError.

        holds: what this one changes itself comes back when it rests; otherwise at once.
        """
        wants = matcher(pattern)
        subscriber = self._admit(peer, lease_s)
        subscriber.hold_s = HOLD_S if holds else 0.0
        if pattern not in subscriber.patterns and len(subscriber.patterns) >= MAX_PATTERNS:
            raise CommandError(f"subscribe: there are {MAX_PATTERNS} patterns already.")
        subscriber.patterns[pattern] = wants
        self._metered.clear()
        for address, arguments in self._everything():
            if wants(address):
                peer.send(address, arguments)

    def listen(self, peer: Peer, address: str, on: bool) -> None:
        """Pass on, or no more, the changes of one address, until forget(). Raises CommandError."""
        subscriber = self._subscribers.get(peer) or self._admit(peer, float("inf"))
        self._metered.clear()
        if on:
            subscriber.exact.add(address)
        else:
            subscriber.exact.discard(address)

    def forget(self, peer: Peer) -> None:
        """Send nothing more to this one."""
        self._subscribers.pop(peer, None)

    def hang_up(self, peer: Peer) -> None:
        """Send nothing more to a connection that has ended, in whatever form it subscribed."""
        for each in list(self._subscribers):
            if peer in (each, each.peer if isinstance(each, Paired) else None):
                del self._subscribers[each]

    def renew(self, peer: Peer) -> None:
        """Begin its lease anew."""
        subscriber = self._subscribers.get(peer)
        if subscriber is not None and subscriber.until_s > time.monotonic():
            subscriber.until_s = time.monotonic() + subscriber.lease_s

    def touch(self, peer: Peer, address: str) -> None:
        """This one moves the address itself; what is held for it there waits on."""
        subscriber = self._subscribers.get(peer)
        if subscriber is None:
            return
        now = time.monotonic()
        if address.endswith(NORM):
            subscriber.exact.add(address)  # a fader that sends it hears it
        for form in (base := address.removesuffix(NORM), base + NORM):
            subscriber.touched_s[form] = now
            if form in subscriber.held and subscriber.hold_s:
                self._hold(subscriber, form, now + subscriber.hold_s, subscriber.held[form][1])

    def hears(self, peer: Peer, address: str) -> bool:
        """Whether this one is told of changes at the address anyway."""
        subscriber = self._subscribers.get(peer)
        return (
            subscriber is not None
            and subscriber.until_s > time.monotonic()
            and subscriber.hears(address)
        )

    @property
    def count(self) -> int:
        """How many subscribe now."""
        now = time.monotonic()
        return sum(each.until_s > now for each in self._subscribers.values())

    def _admit(self, peer: Peer, lease_s: float) -> Subscriber:
        now = time.monotonic()
        self._subscribers = {p: s for p, s in self._subscribers.items() if s.until_s > now}
        known = self._subscribers.get(peer)
        if known is not None:
            known.until_s, known.lease_s = max(known.until_s, now + lease_s), lease_s
            return known
        is_guest = peer.rights is Rights.GUEST
        guests = [p.place[0] for p in self._subscribers if p.rights is Rights.GUEST]
        is_full = len(guests) >= MAX_GUESTS or guests.count(peer.place[0]) >= MAX_OF_GUEST
        if len(self._subscribers) >= MAX_SUBSCRIBERS or (is_guest and is_full):
            count = len(guests) if is_guest else MAX_SUBSCRIBERS
            raise CommandError(f"subscribe: there are {count} subscribers already.")
        subscriber = Subscriber(now + lease_s, lease_s)
        self._subscribers[peer] = subscriber
        return subscriber

    def _everything(self) -> Iterable[tuple[str, Answer]]:
        state = self._session.state
        for param in rows(state):
            if param.path == "status":
                continue  # whoever wants all of it at once asks for it
            value = read(param, state, self.machine)
            if value is not None:
                yield param.address, value
            if param.is_number:
                norm = read(norm_of(param), state, self.machine)
                if norm is not None:
                    yield param.address + NORM, norm

    # --- what happens ---------------------------------------------------------------------------

    def _pass_on(self, event: Event) -> None:
        match event:
            case Change(path, value):
                self._tell(ROOT + path, (value,))
                self._tell_norm(path)
                if path == "rig":
                    self._check_tree()
            case Swapped(switch):
                arguments = (switch.target, switch.source, switch.ms_to_audible, switch.method)
                self._tell(ROOT + "event/swap", arguments)
            case Faulted(rig, text):
                self._tell(ROOT + "event/fault", (rig, text))
            case Tuned(note, cents, hz):
                self._tell(ROOT + "tuner/pitch", (note, cents, hz))

    def _anybody_hears(self, address: str) -> bool:
        now = time.monotonic()
        return any(s.until_s > now and s.hears(address) for s in self._subscribers.values())

    def _tell_norm(self, path: str) -> None:
        address = ROOT + path + NORM
        if self._anybody_hears(address):
            param = find(self._session.state, path + NORM)
            value = read(param, self._session.state, self.machine) if param else None
            if value is not None:
                self._tell(address, value)

    def _tell(self, address: str, arguments: Answer) -> None:
        now = time.monotonic()
        is_event = address.startswith(ROOT + "event/")
        for peer, subscriber in list(self._subscribers.items()):
            if subscriber.until_s <= now or not subscriber.hears(address):
                continue
            if is_event:  # each one counts
                peer.send(address, arguments)
                continue
            due_s = max(
                subscriber.sent_s.get(address, 0.0) + MIN_GAP_S,
                subscriber.touched_s.get(address, 0.0) + subscriber.hold_s,
            )
            if due_s <= now:
                self._send(peer, subscriber, address, arguments, now)
            else:
                self._hold(subscriber, address, due_s, arguments)

    def _send(
        self, peer: Peer, subscriber: Subscriber, address: str, arguments: Answer, now: float
    ) -> None:
        subscriber.held.pop(address, None)
        subscriber.sent_s[address] = now
        peer.send(address, arguments)

    def _hold(self, subscriber: Subscriber, address: str, due_s: float, what: Answer) -> None:
        subscriber.held[address] = (due_s, what)
        self._wake_at(due_s)

    def _wake_at(self, due_s: float) -> None:
        delay_s = max(0.0, due_s - time.monotonic())
        loop = asyncio.get_running_loop()
        if self._timer is None or self._timer.when() > loop.time() + delay_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_later(delay_s, self._release)

    def _release(self) -> None:
        """Send what is due now."""
        self._timer = None
        now = time.monotonic()
        for peer, subscriber in list(self._subscribers.items()):
            if subscriber.until_s <= now:
                subscriber.held.clear()
            for address, (due_s, arguments) in list(subscriber.held.items()):
                if due_s <= now:
                    self._send(peer, subscriber, address, arguments, now)
        left = [due for s in self._subscribers.values() for due, _ in s.held.values()]
        if left:
            self._wake_at(min(left))

    # --- what is only looked at -----------------------------------------------------------------

    async def _look(self) -> None:
        """Tell of what no command changes, while somebody listens."""
        looked_s, state = 0.0, None
        while True:
            await asyncio.sleep(LOOK_PERIOD_S)
            if not self.count:
                continue
            if time.monotonic() - looked_s > MACHINE_PERIOD_S:
                looked_s = time.monotonic()
                machine = await asyncio.to_thread(look, self.machine)
                state = state if machine == self.machine else None
                self.machine = machine
            if state is not self._session.state:
                state = self._session.state
                self._tell_seen()
                self._check_tree()

    async def _meter(self) -> None:
        """Tell how loud it is, while somebody listens and it is not what was told last."""
        while True:
            await asyncio.sleep(METER_PERIOD_S)
            if not any(map(self._anybody_hears, METERS)):
                continue
            levels = self._session.levels()
            told = (
                (levels.in_peak_db, levels.in_rms_db),
                (levels.out_peak_db, levels.out_rms_db),
            )
            for address, level in zip(METERS, told, strict=True):
                if self._metered.get(address) != level:
                    self._metered[address] = level
                    self._tell(address, level)

    def _tell_seen(self) -> None:
        for param in FIXED:
            if param.read is None or param.path == "status":
                continue
            value = param.read(self._session.state, self.machine)
            before = self._seen.get(param.path)
            if before is not None and (value == before or _near(value, before)):
                continue
            self._seen[param.path] = value
            if param.path != "jack":  # is told as it happens
                self._tell(param.address, value)

    def _check_tree(self) -> None:
        state = self._session.state
        paths = frozenset((*state.params, *state.files))
        if paths != self._paths:
            self._paths = paths
            for callback in self._tree_callbacks:
                callback()


def _near(value: Answer, before: Answer) -> bool:
    return (
        len(value) == len(before)
        and all(isinstance(each, float) for each in (*value, *before))
        and all(
            abs(float(a) - float(b)) <= TOLERANCE * abs(float(b))
            for a, b in zip(value, before, strict=True)
        )
    )
