"""A small library made here, a session on the real engine, and a served one for sockets.

The session runs the engine's offline form (threaded=False): in the process, deterministic, and no
JACK anywhere.
"""

import asyncio
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ampd.command import EngineCommand
from ampd.control.gate import Gate
from ampd.control.osc import decode, encode
from ampd.control.server import ControlServer
from ampd.errors import AmpdError
from ampd.finder import Finder
from ampd.library import Library
from ampd.pairing import Pairing
from ampd.session import Session
from ampd.state import Event, Swapped
from ampd.stock import Settings

RATE_HZ = 48000
LIMIT_S = 20.0
NETWORK = "127.0.0.0/29"
KERNEL = 3
SETTLED = 4096  # frames: a fade and a ramp are over

RIGS = {
    "clean": "program: 0\nchain:\n  - gain: {gain_db: 3}\n",
    "drive": "program: 1\nchain:\n  - amp: {model: tiny, gain_db: 6, level_db: -3}\n",
    "loud": "chain:\n  - gain: {gain_db: 12}\noutput: {gain_db: -2}\nmix: 0.5\n",
}


def model(seed: int = 1, channels: int = 2, sample_rate_hz: int = RATE_HZ) -> dict[str, Any]:
    """A residual WaveNet of random weights in the project's own format, self-test included."""
    rng = np.random.default_rng(seed)
    dilations = [1, 2, 4]
    tensors = {
        "input.weight": rng.normal(0, 0.6, channels),
        "input.bias": rng.normal(0, 0.1, channels),
    }
    for number in range(len(dilations)):
        tensors[f"blocks.{number}.weight"] = rng.normal(0, 0.3, channels * channels * KERNEL)
        tensors[f"blocks.{number}.bias"] = rng.normal(0, 0.1, channels)
    tensors["output.weight"] = rng.normal(0, 0.4, channels)
    tensors["output.bias"] = rng.normal(0, 0.05, 1)
    single = {name: value.astype("<f4") for name, value in tensors.items()}
    probe = (0.3 * rng.standard_normal(512)).astype(np.float32).astype(np.float64)
    return {
        "format": "ampd-model",
        "format_version": 1,
        "architecture": "residual_wavenet",
        "sample_rate": sample_rate_hz,
        "causal": True,
        "channels": channels,
        "kernel_size": KERNEL,
        "dilations": dilations,
        "activation": "tanh",
        "tensors": {name: nine_digits(value) for name, value in single.items()},
        "prewarm": "silence",
        "self_test": {
            "input": nine_digits(probe),
            "output": nine_digits(forward(single, dilations, probe)),
        },
        "sha256_weights": hashlib.sha256(
            b"".join(value.tobytes() for value in single.values())
        ).hexdigest(),
        "metadata": {"name": "tiny"},
    }


def nine_digits(values: NDArray[Any]) -> list[float]:
    return [float(f"{value:.9g}") for value in values]


def forward(
    tensors: dict[str, NDArray[Any]], dilations: list[int], signal: NDArray[Any]
) -> NDArray[np.float64]:
    """The net in float64, behind infinite silence: (frames,) -> (frames,)."""
    weights = {name: value.astype(np.float64) for name, value in tensors.items()}
    channels = len(weights["input.weight"])
    past = (KERNEL - 1) * sum(dilations)
    x = np.outer(weights["input.weight"], np.concatenate([np.zeros(past), signal]))
    x += weights["input.bias"][:, None]
    for number, dilation in enumerate(dilations):
        taps = weights[f"blocks.{number}.weight"].reshape(channels, channels, KERNEL)
        reach = (KERNEL - 1) * dilation
        frames = x.shape[1] - reach
        y = sum(taps[:, :, k] @ x[:, k * dilation : k * dilation + frames] for k in range(KERNEL))
        x = x[:, reach:] + np.tanh(y + weights[f"blocks.{number}.bias"][:, None])
    out: NDArray[np.float64] = weights["output.weight"] @ x + weights["output.bias"][0]
    return out


def write_model(path: Path, **settings: Any) -> Path:
    """Write a model to `path`, folders included; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(model(**settings)))
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test measures is kept with the test, not with whoever runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Rigs clean (0), drive (1) and loud (2, by default), and the model tiny."""
    (tmp_path / "rigs").mkdir()
    for name, text in RIGS.items():
        (tmp_path / "rigs" / f"{name}.yaml").write_text(text)
    write_model(tmp_path / "models" / "tiny" / "tiny.json")
    return Library(tmp_path / "rigs", tmp_path / "models")


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def refusal(session: Session, command: EngineCommand) -> str:
    with pytest.raises(AmpdError) as caught:
        await session.execute(command)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def noise(frames: int = SETTLED, seed: int = 3) -> NDArray[np.float32]:
    return (0.05 * np.random.default_rng(seed).standard_normal(frames)).astype(np.float32)


async def heard(session: Session) -> float:
    """RMS of what comes out for a fixed noise, played by a host that is then gone again."""
    engine = await session.attach_host(RATE_HZ)
    for _ in range(RATE_HZ // SETTLED):
        engine.process(np.zeros(SETTLED, np.float32), 64)
        engine.service()
    out = engine.process(noise(), 64)[0, SETTLED // 2 :]
    await session.detach_host()
    return float(np.sqrt(np.mean(np.square(out))))


async def host(
    session: Session, frames: int = SETTLED, *midi: bytes, signal: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """What comes out while a host plays so many frames of silence, or the signal; the messages
    come with its first frame.  Its reports are taken over at the next command."""
    engine = await session.attach_host(RATE_HZ)
    if signal is None:
        signal = np.zeros(frames, np.float32)
    out = [engine.process(signal[:64], 64, [(0, message) for message in midi])]
    for at in range(64, len(signal), 64):
        engine.service()
        out.append(engine.process(signal[at : at + 64], 64))
    await session.detach_host()
    return np.concatenate(out, axis=1)


class Ear:
    """Hears a session's events and can wait for one."""

    def __init__(self, session: Session) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()
        session.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def wait(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event that is wanted, heard already or to come."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for event in self.events:
                    if wanted(event):
                        return event
                self._news.clear()
                await self._news.wait()

    async def swap(self, rig: str) -> Swapped:
        """Wait until `rig` is heard."""
        event = await self.wait(lambda e: isinstance(e, Swapped) and e.switch.target == rig)
        assert isinstance(event, Swapped)
        return event


@asynccontextmanager
async def opened(
    library: Library, threaded: bool = False, finder: Finder | None = None, **settings: Any
) -> AsyncIterator[tuple[Session, Ear]]:
    """A started session and an ear on it."""
    session = Session(library, Settings(**settings), threaded=threaded, finder=finder)
    await session.start(RATE_HZ)
    try:
        yield session, Ear(session)
    finally:
        await session.stop()


@dataclass
class Served:
    """A session behind a real OSC endpoint, in a loop of its own."""

    port: int
    library: Library
    session: Session
    loop: asyncio.AbstractEventLoop

    def client(self, host: str = "127.0.0.1") -> "Client":
        return Client(self.port, host)


class Client:
    """One UDP socket that talks to the endpoint and is not part of it; host: from where."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(LIMIT_S)
        self._to = ("127.0.0.1", port)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def throw(self, packet: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendto(packet, self._to)

    def send(self, address: str, *values: float | bool | str) -> None:
        self.throw(encode(address, values))

    def receive(self) -> tuple[str, list[Any]]:
        return decode(self.socket.recv(65536))

    def until(self, address: str) -> list[Any]:
        """The arguments of the next message at `address`."""
        while True:
            found, arguments = self.receive()
            if found == address:
                return arguments

    def ask(self, address: str, *values: float | bool | str) -> list[Any]:
        """Send and wait for what comes back first."""
        self.send(address, *values)
        return [*self.receive()]

    def alive(self) -> None:
        """Everything sent before has been handled once the pong is back."""
        self.send("/ampd/ping")
        assert self.until("/ampd/pong")[0] == "ampd"


@pytest.fixture
def served(library: Library) -> Iterator[Served]:
    """A session that plays clean, reachable by OSC."""
    with serving(library) as served:
        yield served


@pytest.fixture
def pairing(library: Library) -> Pairing:
    return Pairing(library.rigs_path.parent / "state" / "ampd.token")


@pytest.fixture
def lan(library: Library, pairing: Pairing, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A session that plays clean on a network: 127.0.0.1 is this machine, 127.0.0.2 to 127.0.0.7
    are others of the network, and nobody else may come in."""
    monkeypatch.setattr(Gate, "is_local", staticmethod(lambda a: str(a) == "127.0.0.1"))
    with serving(library, Gate([NETWORK], pairing)) as served:
        yield served


@contextmanager
def serving(library: Library, gate: Gate | None = None) -> Iterator[Served]:
    """A session that plays clean, reachable by those that the gate lets in."""
    ready = threading.Event()
    box: list[Served] = []
    ends: list[Callable[[], object]] = []

    async def serve() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(done.set))
        finder = Finder(library, library.rigs_path.parent / "cache")
        async with opened(library, finder=finder) as (session, ear):
            endpoint = ControlServer(session, gate)
            await endpoint.open("127.0.0.1", 0)
            await session.play_dry()
            await ear.swap("dry")
            session.fill_bank()
            await session.bank_filled()
            box.append(Served(endpoint.port, library, session, loop))
            ready.set()
            await done.wait()
            await endpoint.close()
            await finder.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(LIMIT_S)
        with Client(box[0].port) as client:
            client.send("/ampd/subscribe")
            client.send("/ampd/rig", "clean")
            client.until("/ampd/event/swap")
        yield box[0]
    finally:
        ends[0]()
        thread.join(LIMIT_S)
        assert not thread.is_alive(), "the served session does not end"
