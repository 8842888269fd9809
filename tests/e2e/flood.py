"""Far too many OSC messages, hostile packets among them."""

import json
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ampd.control.packet import encode
from tests.demo.osc import Osc

HOSTILE = Path(__file__).resolve().parents[3] / "shared" / "osc-hostile.json"
HARMLESS = "/ampd/tuner_reference_hz"
EVERY = 100  # so many valid messages, then a hostile one
# What broke servers, in kind: nothing, no address, a lying size, a bundle in itself, no end.
OWN = [
    b"",
    b"\0" * 16,
    b"/ampd/mix\0\0\0,f\0\0\0",
    b"#bundle\0" + b"\0" * 8 + b"\xff\xff\xff\xff",
    b"#bundle\0" + b"\0" * 8 + b"\0\0\0\x14#bundle\0" + b"\0" * 8 + b"\0\0\0\0",
    b"/ampd/" + b"a" * 9000,
    encode("/ampd/mix", [float("nan")]),
]


def hostile_packets() -> list[bytes]:
    """The collection beside the repository, and where there is none our own few."""
    if not HOSTILE.exists():
        return OWN
    return OWN + [bytes.fromhex(packet["hex"]) for packet in json.loads(HOSTILE.read_text())]


def harmless(osc: Osc) -> list[bytes]:
    """Valid messages that leave the sound as it is: the tuner's reference, and each knob of the rig
    as it stands."""
    values = json.loads(str(osc.ask("/ampd/status").values[0]))["values"]
    knobs = [encode(f"/ampd/{path}", [float(value)]) for path, value in values.items()]
    return [encode(HARMLESS, [430.0 + step / 100]) for step in range(2000)] + knobs * 50


class Flood:
    """Sends `messages` over and over at `rate_per_s`, from a thread of its own, until it ends."""

    def __init__(self, port: int, messages: Sequence[bytes], rate_per_s: float) -> None:
        self.sent = 0
        self.seconds = 0.0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._messages, self._rate_per_s = messages, rate_per_s
        self._hostile = hostile_packets()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self, last: bytes) -> float:
        """Stop, send one last message, and return the monotonic second when it was sent."""
        self._ending.set()
        self._thread.join(10.0)
        self._socket.send(last)
        sent_s = time.monotonic()
        self._socket.close()
        return sent_s

    def _run(self) -> None:
        begin_s = time.monotonic()
        while not self._ending.is_set():
            self.seconds = time.monotonic() - begin_s
            while self.sent < self.seconds * self._rate_per_s and not self._ending.is_set():
                self._socket.send(self._messages[self.sent % len(self._messages)])
                self.sent += 1
                if self.sent % EVERY == 0:
                    self._socket.send(self._hostile[self.sent // EVERY % len(self._hostile)])
            time.sleep(0.001)
