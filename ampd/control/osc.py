"""OSC over UDP on loopback: datagrams <-> Command and State.

python-osc encodes and decodes single messages and nothing else; a message counts only if its
bytes are exactly what python-osc would write for it, because its reader pads what is missing.
Bundles are unpacked here: at most 4 levels, every size positive and a multiple of 4, time tags
ignored.  Addresses are matched exactly; there are no wildcards to expand.

A changing command waits in a queue of bounded size and the newest value of an address replaces
the one that waits, so a flood ends with its last value in force.  Everything runs in the loop.
"""

import asyncio
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from ampd import PROTOCOL, __version__
from ampd.command import (
    EngineCommand,
    Learn,
    Panic,
    Ping,
    Query,
    SelectRig,
    SelectSet,
    SetGlobal,
    SetParam,
    StepSet,
    StepSnapshot,
    Subscribe,
    Tap,
    Unsubscribe,
    Value,
    parse,
)
from ampd.errors import AmpdError, CommandError, ListenError, UnreachableError
from ampd.session import Session
from ampd.state import Change, Event, Faulted, Swapped, Tuned

log = logging.getLogger(__name__)

ROOT = "/ampd/"
MAX_DATAGRAM = 65507
MAX_ADDRESS = 255
MAX_ARGUMENTS = 16
MAX_LEVELS = 4
MAX_MESSAGES = 256  # in one bundle
MAX_WAITING = 256
MAX_SENDERS = 16  # that wait for the answer to one command
MAX_SUBSCRIBERS = 32
MAX_TEXT = 1000
LOG_LINES_PER_S = 5
RECEIVE_BYTES = 4 * 1024 * 1024  # the system may grant less
BUNDLE = b"#bundle\0"
SIZE_BYTES = 4
TAGS = frozenset("ifhdsTF")

Peer: TypeAlias = tuple[str, int]


class PacketError(Exception):
    """A datagram is not OSC as this server takes it. address is "" where none could be read."""

    def __init__(self, text: str, address: str = "") -> None:
        super().__init__(text)
        self.address = address


def encode(address: str, arguments: Sequence[Value | int] = ()) -> bytes:
    """One OSC message: bool -> T F, int -> i, float -> f, str -> s."""
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build().dgram


def unpack(data: bytes) -> list[bytes]:
    """The messages of a datagram, bundles opened. Raises PacketError: then none of them counts."""
    if not data or len(data) > MAX_DATAGRAM:
        raise PacketError(f"found {len(data)} bytes, expected 1 to {MAX_DATAGRAM}")
    messages = list(_open_bundle(data, 0))
    if len(messages) > MAX_MESSAGES:
        raise PacketError(f"found {len(messages)} messages, expected at most {MAX_MESSAGES}")
    return messages


def _open_bundle(data: bytes, level: int) -> Iterator[bytes]:
    if not data.startswith(BUNDLE):
        yield data
        return
    if level >= MAX_LEVELS:
        raise PacketError(f"bundles nested deeper than {MAX_LEVELS}")
    place = len(BUNDLE) + 8
    if len(data) < place:
        raise PacketError("a bundle without its time tag")
    while place < len(data):
        if len(data) - place < SIZE_BYTES:
            raise PacketError("a bundle with bytes left over")
        (size,) = struct.unpack_from(">i", data, place)
        place += SIZE_BYTES
        if size <= 0 or size % 4 or size > len(data) - place:
            raise PacketError(f"a bundle element of {size} bytes")
        yield from _open_bundle(data[place : place + size], level + 1)
        place += size


def decode(message: bytes) -> tuple[str, list[Value | int]]:
    """Address and arguments of one message. Raises PacketError."""
    end = message.find(b"\0")
    if not message.startswith(b"/") or not 0 < end <= MAX_ADDRESS or len(message) % 4:
        raise PacketError("no OSC address")
    try:
        address = message[:end].decode("ascii")
    except UnicodeDecodeError:
        raise PacketError("an address that is not ASCII") from None
    if not address.isprintable() or " " in address:
        raise PacketError("an address with characters that OSC does not have")
    rest = message[(end // 4 + 1) * 4 :]
    if not rest:
        # Old clients leave the type tags out where there are no arguments.
        return address, []
    tags = rest[: rest.find(b"\0")].decode("ascii", "replace")
    if not tags.startswith(",") or not TAGS.issuperset(tags[1:]):
        raise PacketError(f"found type tags {tags[:32]!r}, expected of , i f h d s T F", address)
    if len(tags) - 1 > MAX_ARGUMENTS:
        raise PacketError(f"found {len(tags) - 1} arguments", address)
    try:
        arguments = OscMessage(message).params
        builder = OscMessageBuilder(address)
        for tag, argument in zip(tags[1:], arguments, strict=True):
            builder.add_arg(argument, tag)
        exact = builder.build().dgram == message
    except Exception as error:  # python-osc lets errors of many kinds escape
        raise PacketError("arguments that do not fit their type tags", address) from error
    if not exact:
        raise PacketError("arguments that do not fit their type tags", address)
    return address, arguments


def _answers_at(command: EngineCommand) -> str:
    """The path whose value tells what the command did."""
    match command:
        case SetParam(path) | SetGlobal(path):
            return path
        case StepSnapshot():
            return "snapshot"
        case SelectSet() | StepSet():
            return "set"
        case Tap():
            return "tempo_bpm"
        case Panic():
            return "bypass"
    return "rig"


def _nothing() -> None:
    """What ends a subscription that was never made."""


@dataclass
class Subscriber:
    """Who gets changes, of which addresses, and until when (monotonic seconds)."""

    prefix: str
    until_s: float
    lease_s: int


@dataclass
class Waiting:
    """A command in the queue and everybody who asked for it."""

    command: EngineCommand
    address: str
    senders: list[Peer] = field(default_factory=list)


class OscEndpoint(asyncio.DatagramProtocol):
    """The UDP endpoint. open() binds it; close() ends it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._transport: asyncio.DatagramTransport | None = None
        self._subscribers: dict[Peer, Subscriber] = {}
        self._queue: dict[tuple[int, str], Waiting] = {}  # in order of arrival
        self._epoch = 0  # counts the switches of rigs in the queue
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._end_events: Callable[[], None] = _nothing
        self._errands: set[asyncio.Task[None]] = set()
        self._log_second = 0
        self._log_lines = 0

    @property
    def port(self) -> int:
        """The port it is bound to."""
        assert self._transport is not None
        name: Peer = self._transport.get_extra_info("sockname")
        return name[1]

    async def open(self, host: str, port: int) -> None:
        """Listen at host:port. Raises ListenError."""
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        except OSError as error:
            raise ListenError(
                f"{host}:{port}: cannot listen for OSC ({error.strerror or error}); stop the "
                f"other ampd, or choose another port by [osc] port or --osc-port."
            ) from error
        self._end_events = self._session.subscribe(self._pass_on)
        self._worker = asyncio.create_task(self._work(), name="osc")

    async def close(self) -> None:
        """Stop listening; what waits in the queue is dropped."""
        self._end_events()
        for errand in self._errands:
            errand.cancel()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    # --- datagrams in ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own transport is one without saying so to isinstance.
        self._transport = cast(asyncio.DatagramTransport, transport)
        # A full buffer drops the newest command, which is the one that counts.
        udp = transport.get_extra_info("socket")
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        try:
            messages = unpack(data)
        except PacketError as error:
            self._complain(addr, str(error))
            return
        for message in messages:
            try:
                address, arguments = decode(message)
                self._take(address, arguments, addr)
            except PacketError as error:
                self._complain(addr, str(error))
                if error.address:
                    self._refuse(addr, error.address, f"{error.address}: {error}.")

    def error_received(self, exc: Exception) -> None:
        """A receiver is gone; its lease will end."""

    def _take(self, address: str, arguments: Sequence[Value | int], sender: Peer) -> None:
        try:
            if not address.startswith(ROOT):
                raise CommandError(f"{address[:80]!r} is not an address of ampd.")
            command = parse(address.removeprefix(ROOT), arguments)
            match command:
                case Query(path):
                    self._answer_query(path, sender)
                case Ping(port):
                    self._renew((sender[0], port or sender[1]))
                    self._send(sender, "pong", "ampd", __version__, PROTOCOL)
                case Subscribe():
                    self._subscribe(command, sender)
                    self._send(sender, "subscribe", command.lease_s)
                case Unsubscribe(port):
                    self._subscribers.pop((sender[0], port or sender[1]), None)
                    self._send(sender, "unsubscribe")
                case Learn():
                    self._errands.add(task := asyncio.create_task(self._learn(sender)))
                    task.add_done_callback(self._errands.discard)
                case _:
                    self._enqueue(command, address, sender)
        except AmpdError as error:
            self._refuse(sender, address, str(error))

    def _answer_query(self, path: str, sender: Peer) -> None:
        if path == "status":
            self._send(sender, path, self._session.snapshot().to_json())
        elif path == "rigs":
            self._send(sender, path, *(entry.name for entry in self._session.state.rigs))
        elif path == "sets":
            self._send(sender, path, *self._session.state.sets)
        elif path == "snapshots":
            self._send(sender, path, *self._session.state.snapshots)
        else:
            self._send(sender, path, self._session.value(path))

    async def _learn(self, sender: Peer) -> None:
        """Answer with the next controller that moves; nothing else waits for it meanwhile."""
        try:
            self._send(sender, "learn", *await self._session.learn())
        except AmpdError as error:
            self._refuse(sender, ROOT + "learn", str(error))

    # --- commands -------------------------------------------------------------------------------

    def _enqueue(self, command: EngineCommand, address: str, sender: Peer) -> None:
        waiting = self._same_waiting(command, address)
        if waiting is None:
            if len(self._queue) >= MAX_WAITING:
                raise CommandError(f"{address}: {MAX_WAITING} commands wait already; send slower.")
            if not isinstance(command, SetParam | SetGlobal):
                self._epoch += 1
            waiting = Waiting(command, address)
            self._queue[(self._epoch, address)] = waiting
        waiting.command = command
        if sender not in waiting.senders and len(waiting.senders) < MAX_SENDERS:
            waiting.senders.append(sender)
        self._arrived.set()

    def _same_waiting(self, command: EngineCommand, address: str) -> Waiting | None:
        """The waiting command that this one replaces. Values sent after a rig mean that rig, so
        they never join those that wait before it."""
        if isinstance(command, SetParam | SetGlobal):
            return self._queue.get((self._epoch, address))
        newest = self._queue[next(reversed(self._queue))] if self._queue else None
        both = newest and isinstance(command, SelectRig) and isinstance(newest.command, SelectRig)
        return newest if both else None

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                waiting = self._queue.pop(next(iter(self._queue)))
                await self._execute(waiting)

    async def _execute(self, waiting: Waiting) -> None:
        command = waiting.command
        try:
            value = await self._session.execute(command)
        except AmpdError as error:
            self._refuse_all(waiting, str(error))
            return
        except Exception:
            # A bug must cost one command, not the way in.
            log.exception("%s failed", command)
            self._refuse_all(waiting, f"{waiting.address}: an internal error; see the log.")
            return
        path = _answers_at(command)
        told = self._listeners(ROOT + path)
        for sender in waiting.senders:
            if sender not in told:
                self._send(sender, path, value)

    def _refuse_all(self, waiting: Waiting, text: str) -> None:
        for sender in waiting.senders:
            self._refuse(sender, waiting.address, text)

    # --- subscribers ----------------------------------------------------------------------------

    def _subscribe(self, command: Subscribe, sender: Peer) -> None:
        peer = (sender[0], command.port or sender[1])
        now = time.monotonic()
        self._subscribers = {p: s for p, s in self._subscribers.items() if s.until_s > now}
        if peer not in self._subscribers and len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise CommandError(f"subscribe: there are {MAX_SUBSCRIBERS} subscribers already.")
        prefix = command.prefix
        if prefix and not prefix.startswith("/"):
            prefix = ROOT + prefix
        self._subscribers[peer] = Subscriber(prefix, now + command.lease_s, command.lease_s)
        state = self._session.state
        values: dict[str, Value] = {
            "rig": state.wanted_rig,
            "set": state.set,
            "jack": state.jack.state,
        }
        for path, value in {**values, **state.globals, **state.values}.items():
            if (ROOT + path).startswith(prefix):
                self._send(peer, path, value)

    def _renew(self, peer: Peer) -> None:
        subscriber = self._subscribers.get(peer)
        if subscriber is not None and subscriber.until_s > time.monotonic():
            subscriber.until_s = time.monotonic() + subscriber.lease_s

    def _listeners(self, address: str) -> set[Peer]:
        now = time.monotonic()
        return {
            peer
            for peer, subscriber in self._subscribers.items()
            if subscriber.until_s > now and address.startswith(subscriber.prefix)
        }

    def _pass_on(self, event: Event) -> None:
        arguments: tuple[Value, ...]
        match event:
            case Change(path, value):
                arguments = (value,)
            case Swapped(switch):
                path = "event/swap"
                arguments = (switch.target, switch.source, switch.ms_to_audible, switch.method)
            case Faulted(rig, text):
                path, arguments = "event/fault", (rig, text)
            case Tuned(note, cents, hz):
                path, arguments = "tuner/pitch", (note, cents, hz)
        for peer in self._listeners(ROOT + path):
            self._send(peer, path, *arguments)

    # --- datagrams out --------------------------------------------------------------------------

    def _send(self, peer: Peer, path: str, *arguments: Value | int) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(encode(ROOT + path, arguments), peer)

    def _refuse(self, sender: Peer, address: str, text: str) -> None:
        self._send(sender, "error", address[:MAX_ADDRESS], text[:MAX_TEXT])

    def _complain(self, sender: Peer, text: str) -> None:
        """Log a bad packet, at most a few lines a second."""
        second = int(time.monotonic())
        if second != self._log_second:
            self._log_second, self._log_lines = second, 0
        self._log_lines += 1
        if self._log_lines <= LOG_LINES_PER_S:
            log.warning("OSC from %s:%d dropped: %s", sender[0], sender[1], text)


def ask(
    host: str,
    port: int,
    path: str,
    arguments: Sequence[Value | int] = (),
    limit_s: float = 5.0,
    answer_path: str = "",
) -> list[Value | int]:
    """Send one command to a running daemon and wait for its answer (the command line's client).

    path, arguments: "rig", ["drive"]. Returns the arguments of the answer, which comes at the same
    address, or for a button ("rig/next") at the one of what it moves: answer_path ("rig").
    Raises UnreachableError when nothing answers, CommandError with the daemon's own sentence.
    """
    nobody = UnreachableError(
        f"No ampd answers at {host}:{port}; start one with 'ampd run', or name its port by --port."
    )
    deadline_s = time.monotonic() + limit_s
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        try:
            client.connect((host, port))
            client.send(encode(ROOT + path, arguments))
            while (left_s := deadline_s - time.monotonic()) > 0:
                client.settimeout(left_s)
                address, answer = decode(client.recv(MAX_DATAGRAM))
                if address == ROOT + "error":
                    raise CommandError(str(answer[1]) if len(answer) > 1 else "refused")
                if address == ROOT + (answer_path or path):
                    return answer
        except (OSError, PacketError) as error:
            raise nobody from error
    raise nobody
