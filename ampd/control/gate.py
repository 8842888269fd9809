"""Who may come in from the network, and with which rights.

This machine may do everything.  A machine of the allowed networks is a guest, until what it sends
shows the pairing token: in the address, in a signature, or as the cookie of a browser.  Others are
not answered at all.

A datagram's sender may be forged, so a guest's place counts as its own only when it has sent back
a number that was sent there; that number is also what makes a signature good for one place and for
one run of the daemon.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from ampd.command import (
    Command,
    Find,
    Hello,
    Ping,
    Query,
    SelectRig,
    SetGlobal,
    SetParam,
    StepRig,
    StepSnapshot,
    Subscribe,
    Unsubscribe,
    Value,
)
from ampd.control.params import ROOT
from ampd.errors import CommandError
from ampd.pairing import TOKEN, Pairing

Place: TypeAlias = tuple[str, int]

SIGNED = "signed"  # /ampd/signed/<path>
MAC_DIGITS = 32
KEY_BYTES = 32
WINDOW = 64  # so many counters back one that came late is still good
MAX_PLACES = 1024
FORGET_AT = MAX_PLACES // 2
GUEST_SWITCHES = ("mute", "tuner", "tuner_mutes")
HOW_TO_PAIR = (
    "a guest may choose rigs and snapshots, mute and tune; for more, pair: `ampd page` on the box "
    "shows how."
)


class Rights(IntEnum):
    """What a sender may do; each may what the one before may."""

    GUEST = 0  # choose rigs and snapshots, mute, tune, read
    PAIRED = 1  # turn every knob, and bring new files by the page
    LOCAL = 2  # everything, the pairing token too


def allows(rights: Rights, command: Command) -> bool:
    """Whether a sender of these rights may ask for this."""
    if rights >= Rights.PAIRED:
        return True
    match command:
        case SelectRig() | StepRig() | StepSnapshot():
            return True
        case SetGlobal(path):
            return path in GUEST_SWITCHES
        case SetParam(path):
            return path == "snapshot"
    return isinstance(command, Query | Find | Subscribe | Unsubscribe | Ping | Hello)


class Refused(Exception):
    """What claims to be of a paired sender is not. The text says why."""


@dataclass(frozen=True)
class Opened:
    """A message without what showed its rights. prefix: what the sender puts before addresses;
    counter: of a signed one, else 0; is_repeat: it was taken before, and was sent again because its
    answer was lost."""

    address: str
    arguments: list[Value | int]
    is_paired: bool = False
    prefix: str = ""
    counter: int = 0
    is_repeat: bool = False


class Counters:
    """Which counters of one sender were there: each counts once, in any order within WINDOW."""

    def __init__(self) -> None:
        self._newest = 0
        self._seen = 0  # bit n: the newest less n

    def take(self, counter: int) -> bool:
        """Note it; False where it was there already. Raises Refused where it is too old."""
        if counter > self._newest:
            self._seen = (self._seen << min(counter - self._newest, WINDOW) | 1) % (1 << WINDOW)
            self._newest = counter
            return True
        if counter < 1 or self._newest - counter >= WINDOW:
            raise Refused(f"counter {counter} is too far behind {self._newest}")
        bit = 1 << (self._newest - counter)
        fresh = not self._seen & bit
        self._seen |= bit
        return fresh


class Gate:
    """networks: who may come in besides this machine, as CIDR. Without a pairing nobody may."""

    def __init__(self, networks: Sequence[str] = (), pairing: Pairing | None = None) -> None:
        self._networks = tuple(ipaddress.ip_network(text) for text in networks)
        self._pairing = pairing
        self._hosts: dict[str, Rights | None] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._key = secrets.token_bytes(KEY_BYTES)
        self._confirmed: dict[Place, None] = {}
        self._counters: dict[Place, Counters] = {}

    # --- by where it comes from -----------------------------------------------------------------

    def rights_of(self, host: str) -> Rights | None:
        """What a sender at the host may do without showing anything; None: it may not come in."""
        if host not in self._hosts:
            if len(self._hosts) >= MAX_PLACES:
                self._hosts.clear()
            self._hosts[host] = self._find_rights(host)
        return self._hosts[host]

    def _find_rights(self, host: str) -> Rights | None:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return None
        if self.is_local(address):
            return Rights.LOCAL
        inside = any(address in network for network in self._networks)
        return Rights.GUEST if inside and self._pairing is not None else None

    @staticmethod
    def is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Whether it is this machine's own loopback, which no network can forge: the kernel drops
        what comes from outside with such a sender."""
        return address.is_loopback

    # --- by what it shows -----------------------------------------------------------------------

    @property
    def token(self) -> str:
        """The pairing token. Raises CommandError where nobody else is let in."""
        if self._pairing is None:
            raise CommandError(
                "pair: this ampd lets in nobody but this machine; put 'lan = true' under [control] "
                "in ampd.toml and start it again."
            )
        return self._pairing.token

    def renew(self) -> str:
        """Another token; who knew the old one is a guest again. Blocks on the disk. Raises
        CommandError."""
        assert self.token
        assert self._pairing is not None
        return self._pairing.renew()

    def on_renewal(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the loop once there is another token."""
        self._callbacks.append(callback)

    def tell_renewal(self) -> None:
        """There is another token."""
        self._forget_places()
        for callback in self._callbacks:
            callback()

    def cookie_for(self, token: str) -> str:
        """What a browser is given for the token; "" where it is not the token."""
        pairing = self._pairing
        return pairing.cookie() if pairing is not None and pairing.is_token(token) else ""

    def is_cookie(self, text: str) -> bool:
        """Whether a browser shows that it is paired."""
        return self._pairing is not None and self._pairing.is_cookie(text)

    def open(
        self, place: Place, message: bytes, address: str, arguments: list[Value | int]
    ) -> Opened:
        """What the message says once its token or signature is taken off. Raises Refused."""
        head, slash, rest = address.removeprefix(ROOT).partition("/")
        if self._pairing is None or not slash or not address.startswith(ROOT):
            return Opened(address, arguments)
        if head == SIGNED:
            return self._open_signed(place, message, rest, arguments)
        if not TOKEN.fullmatch(head):
            return Opened(address, arguments)
        if not self._pairing.is_token(head):
            raise Refused("the token in the address is not the box's")
        return Opened(ROOT + rest, arguments, is_paired=True, prefix=f"{head}/")

    def _open_signed(
        self, place: Place, message: bytes, path: str, arguments: list[Value | int]
    ) -> Opened:
        """/ampd/signed/<path> s:mac h:counter and what <path> takes; README.md defines the mac."""
        assert self._pairing is not None
        mac, counter = (*arguments[:2], "", "")[:2]
        if not (isinstance(mac, str) and len(mac) == MAC_DIGITS and type(counter) is int):
            raise Refused(f"expected s:mac of {MAC_DIGITS} digits and h:counter first")
        place_of_mac = message.index(b"\0,") + 1
        place_of_mac = message.index(mac.encode(), place_of_mac)
        number = f"{self.number_for(place):0{MAC_DIGITS}x}".encode()
        text = message[:place_of_mac] + number + message[place_of_mac + MAC_DIGITS :]
        right = self._pairing.digest(text).hex()[:MAC_DIGITS]
        if not hmac.compare_digest(mac.encode(), right.encode()):
            raise Refused("the signature is not good for this sender; say /ampd/hello anew")
        if place not in self._counters and len(self._counters) >= MAX_PLACES:
            self._forget_places()  # nobody's counters may be forgotten and the numbers still hold
            raise Refused("say /ampd/hello anew")
        fresh = self._counters.setdefault(place, Counters()).take(counter)
        self._confirmed[place] = None
        own = arguments[2:]
        return Opened(ROOT + path, own, is_paired=True, counter=counter, is_repeat=not fresh)

    # --- whose place it is ----------------------------------------------------------------------

    def number_for(self, place: Place) -> int:
        """What a sender must have received to be at its place; 2**62 or more, so always an h."""
        text = f"{place[0]} {place[1]}".encode()
        digest = hmac.new(self._key, text, hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") >> 2 | 1 << 62

    def confirm(self, place: Place, number: int) -> bool:
        """Whether the number is the place's; then the place counts as its own."""
        known = number == self.number_for(place)
        if known:
            if len(self._confirmed) >= MAX_PLACES:
                self._confirmed = dict.fromkeys(list(self._confirmed)[FORGET_AT:])
            self._confirmed[place] = None
        return known

    def is_confirmed(self, place: Place) -> bool:
        """Whether a sender has shown that it is at the place."""
        return place in self._confirmed

    def _forget_places(self) -> None:
        """No number, signature or counter of before holds any more."""
        self._key = secrets.token_bytes(KEY_BYTES)
        self._confirmed.clear()
        self._counters.clear()


def source_of(place: Place, rights: Rights) -> Hashable:
    """Whose messages are counted together: a machine of the network, or one socket of this one."""
    return place if rights is Rights.LOCAL else place[0]
