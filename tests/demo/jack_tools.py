"""JACK clients that are not ours: each verb is one process, one client, one job.

    python -m tests.demo.jack_tools probe
    python -m tests.demo.jack_tools play IN.wav --to ampd:in_1 [--script MIDI.json]
    python -m tests.demo.jack_tools record OUT.wav --from ampd:out_1 ampd:out_2
    python -m tests.demo.jack_tools program 2 --to ampd:midi_in
    python -m tests.demo.jack_tools listen --from ampd:midi_out

MIDI.json is a list of [frame, hex]: the foot's bytes, each at its own frame of the sound.
Each prints one JSON object a line. play ends by itself, or a quarter of a second of sound after
SIGTERM; record ends on SIGTERM and then writes OUT.wav, and beside it OUT.npz with the frame and
the monotonic second of every cycle.
A call of libjack can block for ever: whoever starts these gives them a time limit.
"""

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jack
import numpy as np
import soundfile as sf
from numpy.typing import NDArray

Signal = NDArray[np.float32]
CONNECT_LIMIT_S = 20.0
MAX_TAKE_S = 900.0


def say(**fields: object) -> None:
    """One fact on standard output."""
    print(json.dumps(fields), flush=True)


class Player:
    """Writes a mono signal to one port, from its first cycle after start()."""

    def __init__(self, client: Any, signal_: Signal) -> None:
        self._port = client.outports.register("out")
        self._signal = signal_
        self._end = len(signal_)
        self._playing = False
        self.position = 0
        self.first_frame = -1
        self.done = threading.Event()

    @property
    def port(self) -> Any:
        return self._port

    @property
    def playing(self) -> bool:
        return self._playing

    def start(self) -> None:
        self._playing = True

    def end_after(self, frames: int) -> None:
        """Play so much more, and no further."""
        self._end = min(self._end, self.position + frames)

    def process(self, frame: int, frames: int) -> None:
        """Audio thread of this process."""
        out = self._port.get_array()
        out.fill(0.0)
        if not self._playing or self.position >= self._end:
            return
        if self.first_frame < 0:
            self.first_frame = frame
        chunk = self._signal[self.position : min(self.position + frames, self._end)]
        out[: len(chunk)] = chunk
        self.position += len(chunk)
        if self.position >= self._end:
            self.done.set()


class Pedal:
    """Writes MIDI to one port while the player plays: bytes as they are, whole messages or not.

    script: (frame of the player's sound, bytes), in order.
    """

    def __init__(self, client: Any, script: list[tuple[int, bytes]], player: Player) -> None:
        self._port = client.midi_outports.register("midi")
        self._script, self._player = script, player
        self._next = 0

    @property
    def port(self) -> Any:
        return self._port

    def process(self, _frame: int, frames: int) -> None:
        """Audio thread of this process; the player's own turn comes after it."""
        self._port.clear_buffer()
        if not self._player.playing:
            return
        start = self._player.position
        while self._next < len(self._script) and self._script[self._next][0] < start + frames:
            frame, data = self._script[self._next]
            self._port.write_midi_event(max(0, frame - start), data)
            self._next += 1


class Recorder:
    """Keeps what arrives at its ports, and when: all memory is taken before the first cycle."""

    def __init__(self, client: Any, channels: int, seconds: float) -> None:
        frames = int(seconds * client.samplerate)
        self._ports = [client.inports.register(f"in_{i + 1}") for i in range(channels)]
        self._take = np.zeros((frames, channels), np.float32)
        self._cycle_frame = np.zeros(frames // 16, np.int64)
        self._cycle_second = np.zeros(frames // 16, np.float64)
        self._cycle_start = np.zeros(frames // 16, np.int64)
        self._rate_hz = client.samplerate
        self.cycles = 0
        self.frames = 0

    @property
    def ports(self) -> list[Any]:
        return self._ports

    def process(self, frame: int, frames: int) -> None:
        """Audio thread of this process."""
        end = self.frames + frames
        if end > len(self._take) or self.cycles >= len(self._cycle_frame):
            return
        for channel, port in enumerate(self._ports):
            self._take[self.frames : end, channel] = port.get_array()
        self._cycle_frame[self.cycles] = frame
        self._cycle_second[self.cycles] = time.monotonic()
        self._cycle_start[self.cycles] = self.frames
        self.cycles += 1
        self.frames = end

    def save(self, path: Path) -> None:
        """PATH.wav: the cycles one after another; PATH.npz: start, frame and second of each."""
        sf.write(path, self._take[: self.frames], self._rate_hz, subtype="FLOAT")
        np.savez(
            path.with_suffix(".npz"),
            start=self._cycle_start[: self.cycles],
            frame=self._cycle_frame[: self.cycles],
            second=self._cycle_second[: self.cycles],
        )


@contextlib.contextmanager
def client(name: str, *processes: Callable[[int, int], None]) -> Iterator[Any]:
    """A client of the server named by JACK_DEFAULT_SERVER; never starts one."""
    opened = jack.Client(name, no_start_server=True)
    try:
        yield opened
    finally:
        opened.deactivate()
        opened.close()


def activate(opened: Any, *parts: Any) -> None:
    """Start the cycles: each part gets the frame of the cycle's first sample."""

    def process(frames: int) -> None:
        frame = opened.last_frame_time
        for part in parts:
            part.process(frame, frames)

    opened.set_process_callback(process)
    opened.activate()


def connect(opened: Any, source: str, destination: str) -> None:
    """Connect two ports as soon as both exist; TimeoutError names them."""
    deadline = time.monotonic() + CONNECT_LIMIT_S
    while True:
        try:
            opened.connect(source, destination)
            return
        except jack.JackErrorCode as error:
            if error.code == 17:  # EEXIST: somebody else has connected them already
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"cannot connect {source} to {destination}: {error}") from error
        except jack.JackError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"cannot connect {source} to {destination}: {error}") from error
        time.sleep(0.05)


def until_ended() -> threading.Event:
    """What is set by SIGTERM and Ctrl-C."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended


def probe(_: argparse.Namespace) -> None:
    """Is there a server, and what does it have?"""
    with client("ampd-probe") as opened:
        say(
            sample_rate_hz=opened.samplerate,
            period_frames=opened.blocksize,
            realtime=bool(opened.realtime),
            ports=[port.name for port in opened.get_ports()],
            connections={
                port.name: [other.name for other in opened.get_all_connections(port)]
                for port in opened.get_ports()
            },
        )


def _script(path: Path | None) -> list[tuple[int, bytes]]:
    rows = json.loads(path.read_text()) if path else []
    return [(frame, bytes.fromhex(data)) for frame, data in rows]


def play(args: argparse.Namespace) -> None:
    ended = until_ended()
    sound, rate_hz = sf.read(args.wav, dtype="float32")
    with client("player") as opened:
        if rate_hz != opened.samplerate:
            raise SystemExit(f"{args.wav}: {rate_hz} Hz, the server runs at {opened.samplerate} Hz")
        player = Player(opened, sound)
        pedal = Pedal(opened, _script(args.script), player)
        activate(opened, pedal, player)
        for destination in args.to:
            connect(opened, player.port.name, destination)
        if args.script:
            connect(opened, pedal.port.name, args.midi_to)
        say(event="ready")
        player.start()
        while not (player.done.wait(0.05) or ended.is_set()):
            pass
        player.end_after(opened.samplerate // 4)
        player.done.wait(CONNECT_LIMIT_S)
        say(event="played", frames=player.position, first_frame=player.first_frame)


def record(args: argparse.Namespace) -> None:
    ended = until_ended()
    with client("recorder") as opened:
        recorder = Recorder(opened, len(args.source), args.seconds)
        activate(opened, recorder)
        for source, port in zip(args.source, recorder.ports, strict=True):
            connect(opened, source, port.name)
        say(event="ready")
        ended.wait()
    recorder.save(args.wav)
    say(event="recorded", frames=recorder.frames)


def program(args: argparse.Namespace) -> None:
    """One program change on channel 1, as soon as the connection is sure to be alive."""
    sent = threading.Event()
    armed = threading.Event()

    class Sender:
        def __init__(self, port: Any) -> None:
            self.port = port
            self.second = 0.0

        def process(self, _frame: int, _frames: int) -> None:
            self.port.clear_buffer()
            if armed.is_set() and not sent.is_set():
                self.port.write_midi_event(0, (0xC0, args.number))
                self.second = time.monotonic()
                sent.set()

    with client("pedal") as opened:
        sender = Sender(opened.midi_outports.register("out"))
        activate(opened, sender)
        connect(opened, sender.port.name, args.to[0])
        wait_frames(opened, opened.samplerate // 4)  # PipeWire's links come alive later than asked
        armed.set()
        if not sent.wait(CONNECT_LIMIT_S):
            raise TimeoutError("the server ran no cycle after the connection was made")
        say(event="program", number=args.number, second=sender.second)
        # The reader sees this cycle's events within it or, in a loop, in the next.
        wait_frames(opened, 4 * opened.blocksize)


def wait_frames(opened: Any, frames: int) -> None:
    """Wait until the server has run so many frames. TimeoutError where it stands still."""
    start, deadline = opened.last_frame_time, time.monotonic() + CONNECT_LIMIT_S
    while (opened.last_frame_time - start) % 2**32 < frames:
        if time.monotonic() > deadline:
            raise TimeoutError("the server ran too few cycles")
        time.sleep(0.002)


def listen(args: argparse.Namespace) -> None:
    """Every MIDI message that arrives, as hex with its frame, until SIGTERM."""
    ended = until_ended()
    heard: list[tuple[int, str]] = []

    class Listener:
        def __init__(self, port: Any) -> None:
            self.port = port

        def process(self, frame: int, _frames: int) -> None:
            for offset, data in self.port.incoming_midi_events():
                heard.append((frame + offset, bytes(data).hex()))

    with client("listener") as opened:
        listener = Listener(opened.midi_inports.register("in"))
        activate(opened, listener)
        connect(opened, args.source[0], listener.port.name)
        say(event="ready")
        told = 0
        while not ended.wait(0.01):
            while told < len(heard):
                frame, data = heard[told]
                say(event="midi", data=data, frame=frame)
                told += 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="JACK clients for the demo and the tests.")
    verbs = parser.add_subparsers(required=True)

    def verb(run: Callable[[argparse.Namespace], None], *names: str) -> None:
        sub = verbs.add_parser(run.__name__)
        sub.set_defaults(run=run)
        for name in names:
            sub.add_argument(name, type=int if name == "number" else Path)
        sub.add_argument("--to", nargs="*", default=["ampd:in_1"])
        sub.add_argument("--from", nargs="+", default=["ampd:out_1"], dest="source")
        sub.add_argument("--seconds", type=float, default=MAX_TAKE_S)
        sub.add_argument("--script", type=Path)
        sub.add_argument("--midi-to", default="ampd:midi_in")

    verb(probe)
    verb(play, "wav")
    verb(record, "wav")
    verb(program, "number")
    verb(listen)
    return parser


def main() -> int:
    args = _parser().parse_args()
    try:
        args.run(args)
    except (jack.JackError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
