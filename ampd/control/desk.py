"""Messages of every way in -> commands, done one after the other, and their answers.

A changing command waits in a queue of bounded size and the newest value of an address replaces
the one that waits, so a flood ends with its last value in force.  Everything runs in the loop.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from ampd import PROTOCOL, __version__
from ampd.codes import code
from ampd.command import (
    Command,
    EngineCommand,
    Find,
    Hello,
    Learn,
    Pair,
    Ping,
    Query,
    SelectRig,
    SetGlobal,
    SetParam,
    Subscribe,
    Unsubscribe,
    Value,
    parse,
)
from ampd.control.gate import HOW_TO_PAIR, Gate, Rights, allows
from ampd.control.hub import Hub, Paired, Peer
from ampd.control.limits import Buckets
from ampd.control.packet import MAX_ADDRESS
from ampd.control.params import BY_PATH, NORM, ROOT, find, read
from ampd.errors import AmpdError, CommandError
from ampd.session import Session

log = logging.getLogger(__name__)

MAX_WAITING = 256
MAX_SENDERS = 16  # that wait for the answer to one command
MAX_ERRANDS = 64
MAX_OF_GUESTS = 8  # commands in the queue, and errands, so that the others find room
LONG_PER_S, LONG_BURST = 5, 20  # long answers to one machine of guests
MAX_TEXT = 1000


@dataclass
class Waiting:
    """A command in the queue and everybody who asked for it, each with the address that it used.

    norm: the value is a fader's, 0 to 1, and becomes the param's own once its rig is known.
    """

    command: EngineCommand | Query
    senders: dict[Peer, str] = field(default_factory=dict)
    norm: bool = False


class Desk:
    """Takes messages from peers. open() begins to work; close() drops what waits."""

    def __init__(self, session: Session, hub: Hub, gate: Gate) -> None:
        self._session = session
        self._hub = hub
        self._gate = gate
        self._queue: dict[tuple[int, str], Waiting] = {}  # in order of arrival
        self._epoch = 0  # counts the switches of rigs in the queue
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._errands: dict[asyncio.Task[None], Peer] = {}
        self._long = Buckets(LONG_PER_S, LONG_BURST)

    def open(self) -> None:
        """Begin to work."""
        self._worker = asyncio.create_task(self._work(), name="desk")

    async def close(self) -> None:
        """End the work; what waits in the queue is dropped."""
        tasks = [*self._errands, *([self._worker] if self._worker else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def take(
        self, address: str, arguments: Sequence[Value | int], sender: Peer, listener: Peer
    ) -> None:
        """Do what the message asks for, or queue it; the answer goes to the sender.

        listener: who is meant where the message subscribes: the sender, or another port of it.
        """
        try:
            path, command = _parse(address, arguments)
            if not allows(sender.rights, command):
                raise CommandError(f"{path}: {HOW_TO_PAIR}")
            is_long = isinstance(command, Subscribe | Find) or command == Query("status")
            if is_long and sender.rights is Rights.GUEST and not self._long.take(sender.place[0]):
                raise CommandError(
                    f"{path}: at most {LONG_PER_S} a second of a guest; send slower."
                )
            match command:
                case Query() | Learn() | Find() | Pair():
                    self._ask(path, command, sender)
                case Hello(number):
                    self._gate.confirm(sender.place, number)
                    sender.send(ROOT + "hello", (self._gate.number_for(sender.place),))
                case Ping() | Subscribe() | Unsubscribe():
                    self._serve_listener(command, sender, listener)
                case _:
                    self._enqueue(command, path, sender)
        except AmpdError as error:
            self.refuse(sender, address, str(error))
            _acknowledge(sender)

    def repeat(self, address: str, arguments: Sequence[Value | int], sender: Peer) -> None:
        """What was taken before is answered with the value as it is once that is done, not done
        again: the answer was lost on the way."""
        try:
            path, command = _parse(address, arguments)
            if isinstance(command, EngineCommand):
                row = BY_PATH.get(path)
                path = row.answers if row is not None and row.answers else path
                self._enqueue(Query(path), path, sender)
            else:
                self.take(address, arguments, sender, sender)
        except AmpdError as error:
            self.refuse(sender, address, str(error))
            _acknowledge(sender)

    def _ask(self, path: str, command: Query | Learn | Find | Pair, sender: Peer) -> None:
        if isinstance(command, Query):
            norm = NORM if path.endswith(NORM) else ""
            self._answer_query(command.path + norm, sender)
            return
        of_guests = sum(each.rights is Rights.GUEST for each in self._errands.values())
        is_guest = sender.rights is Rights.GUEST
        if len(self._errands) >= MAX_ERRANDS or (is_guest and of_guests >= MAX_OF_GUESTS):
            raise CommandError(f"{path}: {len(self._errands)} requests wait already; send slower.")
        match command:
            case Learn():
                errand = self._learn(sender)
            case Find():
                errand = self._find(command, sender)
            case _:
                errand = self._pair(command, sender)
        self._errands[task := asyncio.create_task(errand)] = sender
        task.add_done_callback(lambda ended: self._errands.pop(ended, None))

    async def _pair(self, command: Pair, sender: Peer) -> None:
        """Answer with the token. The reason why not, where the network is off, is the gate's."""
        try:
            if sender.rights is not Rights.LOCAL:
                raise CommandError("pair: the token is told to the box alone.")
            token = self._gate.token
            if command.renew:
                token = await asyncio.to_thread(self._gate.renew)
                self._gate.tell_renewal()
            sender.send(ROOT + "pair", (token,))
        except AmpdError as error:
            self.refuse(sender, ROOT + "pair", str(error))

    async def _find(self, command: Find, sender: Peer) -> None:
        """Answer with a page of the library."""
        try:
            found = await self._session.find(command.kind, command.words, command.offset)
            sender.send(ROOT + command.path, (found.to_json(),))
        except AmpdError as error:
            self.refuse(sender, ROOT + command.path, str(error))

    def _serve_listener(
        self, command: Ping | Subscribe | Unsubscribe, sender: Peer, listener: Peer
    ) -> None:
        match command:
            case Ping():
                self._hub.renew(listener)
                sender.send(ROOT + "pong", ("ampd", __version__, PROTOCOL))
            case Subscribe() if not self._is_known(sender):
                # What it would hear may be meant for somebody else's ears.
                sender.send(ROOT + "hello", (self._gate.number_for(sender.place),))
            case Subscribe(_, pattern, lease_s, mode):
                self._hub.subscribe(listener, pattern, lease_s, holds=mode == "hold")
                sender.send(ROOT + "subscribe", (lease_s,))
            case Unsubscribe():
                self._hub.forget(listener)
                sender.send(ROOT + "unsubscribe", ())

    def _is_known(self, sender: Peer) -> bool:
        """Whether it is known to be where it says."""
        return sender.is_known or self._gate.is_confirmed(sender.place)

    def refuse(self, sender: Peer, address: str, text: str) -> None:
        """Tell the sender why nothing happened."""
        sender.send(ROOT + "error", (address[:MAX_ADDRESS], text[:MAX_TEXT]))

    def _answer_query(self, path: str, sender: Peer) -> None:
        state = self._session.snapshot()
        param = find(state, path)
        value = read(param, state, self._hub.machine) if param is not None else None
        if value is None:
            value = (self._session.value(path.removesuffix(NORM)),)  # which says what is near
            raise CommandError(f"{path}: this address has no {NORM} form.")
        sender.send(ROOT + path, value)

    async def _learn(self, sender: Peer) -> None:
        """Answer with the next controller that moves; nothing else waits for it meanwhile."""
        try:
            sender.send(ROOT + "learn", await self._session.learn())
        except AmpdError as error:
            self.refuse(sender, ROOT + "learn", str(error))

    # --- the queue ------------------------------------------------------------------------------

    def _enqueue(self, command: EngineCommand | Query, path: str, sender: Peer) -> None:
        is_value = isinstance(command, SetParam | SetGlobal)
        if is_value:
            self._hub.touch(sender, ROOT + path)
        key = path.removesuffix(NORM) if is_value else path
        waiting = self._same_waiting(command, key)
        if waiting is None:
            if len(self._queue) >= MAX_WAITING or self._is_full_for(sender):
                raise CommandError(
                    f"{path}: {len(self._queue)} commands wait already; send slower."
                )
            if not is_value:
                self._epoch += 1
            waiting = Waiting(command)
            self._queue[(self._epoch, key)] = waiting
        waiting.command, waiting.norm = command, path.endswith(NORM)
        if waiting.senders.pop(sender, None) or len(waiting.senders) < MAX_SENDERS:
            waiting.senders[sender] = path
        self._arrived.set()

    def _is_full_for(self, sender: Peer) -> bool:
        if sender.rights is not Rights.GUEST:
            return False
        waiting = self._queue.values()
        of_guests = sum(any(p.rights is Rights.GUEST for p in each.senders) for each in waiting)
        return of_guests >= MAX_OF_GUESTS

    def _same_waiting(self, command: EngineCommand | Query, key: str) -> Waiting | None:
        """The waiting command that this one replaces. Values sent after a rig mean that rig, so
        they never join those that wait before it."""
        if isinstance(command, SetParam | SetGlobal):
            return self._queue.get((self._epoch, key))
        newest = self._queue[next(reversed(self._queue))] if self._queue else None
        both = newest and isinstance(command, SelectRig) and isinstance(newest.command, SelectRig)
        return newest if both else None

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                waiting = self._queue.pop(next(iter(self._queue)))
                try:
                    await self._execute(waiting)
                except Exception:
                    # A bug must cost one command, not the way in.
                    log.exception("%s failed", waiting.command, extra=code("INTERNAL"))
                    self._refuse_all(waiting, "an internal error; see the log.")

    async def _execute(self, waiting: Waiting) -> None:
        command = waiting.command
        if isinstance(command, Query):
            self._answer_repeats(waiting)
            return
        try:
            if waiting.norm:
                command = self._natural(command)
            value = await self._session.execute(command)
        except AmpdError as error:
            self._refuse_all(waiting, str(error))
            return
        for sender, path in waiting.senders.items():
            self._answer(sender, path, value)
            _acknowledge(sender)

    def _answer_repeats(self, waiting: Waiting) -> None:
        for sender, path in waiting.senders.items():
            try:
                self._answer_query(path, sender)
            except AmpdError as error:
                self.refuse(sender, ROOT + path, str(error))
            _acknowledge(sender)

    def _natural(self, command: EngineCommand) -> EngineCommand:
        """The command with the param's own value in place of the fader's."""
        assert isinstance(command, SetParam | SetGlobal)
        param = find(self._session.state, command.path)
        if param is None or not param.is_number:
            self._session.value(command.path)  # raises, and says what is near
            raise CommandError(f"{command.path}: this address has no {NORM} form.")
        value = param.from_norm(float(command.value))
        if isinstance(command, SetParam):
            return SetParam(command.path, value)
        return SetGlobal(command.path, bool(value) if param.taper == "toggle" else value)

    def _answer(self, sender: Peer, path: str, value: Value) -> None:
        """Subscribers hear it as a change."""
        row = BY_PATH.get(path)
        answered = row.answers if row is not None and row.answers else path
        if self._hub.hears(sender, ROOT + answered):
            return
        if answered.endswith(NORM):
            param = find(self._session.state, answered.removesuffix(NORM))
            if param is not None and param.is_number and not isinstance(value, str):
                value = param.to_norm(value)
        sender.send(ROOT + answered, (value,))

    def _refuse_all(self, waiting: Waiting, text: str) -> None:
        for sender, path in waiting.senders.items():
            self.refuse(sender, ROOT + path, text)
            _acknowledge(sender)


def _acknowledge(sender: Peer) -> None:
    """Tell who counts its messages which one needs not be sent again."""
    if isinstance(sender, Paired) and sender.counter:
        sender.send(ROOT + "done", (sender.counter,))


def _parse(address: str, arguments: Sequence[Value | int]) -> tuple[str, Command]:
    """The path below the root and the command that the message means. Raises CommandError."""
    unknown = CommandError(f"{address[:80]!r} is not an address of ampd.")
    if not address.startswith(ROOT):
        raise unknown
    path = address.removeprefix(ROOT)
    row = BY_PATH.get(path)
    if arguments and row is not None and row.access in ("r", "event"):
        raise CommandError(f"{path}: this address tells, and takes nothing.")
    command = parse(path.removesuffix(NORM), arguments)
    if path.endswith(NORM) and not isinstance(command, Query | SetParam | SetGlobal):
        raise unknown
    return path, command
