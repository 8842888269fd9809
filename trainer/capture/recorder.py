"""Runs the JACK client in its own process, and judges what it tells."""

import contextlib
import importlib.util
import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from trainer.capture.levels import Levels, Watch
from trainer.capture.tape import Block
from trainer.errors import JackError
from trainer.fields import nearest

ANSWER_S = 10.0  # for the first word; a libjack call on a wedged server never returns
SILENCE_S = 30.0  # between words: longer than the process itself waits for a server
END_S = 5.0
MODULE = "trainer.capture.jack_process"


@dataclass(frozen=True)
class Server:
    """What a JACK server has; ports by name, the physical ones first."""

    sample_rate_hz: int
    period_frames: int
    sends: tuple[str, ...]  # a send goes to one of these, a port that takes sound in
    returns: tuple[str, ...]  # a return comes from one of these
    physical: frozenset[str]

    def send(self, name: str | None) -> str:
        """The port of that name, or the first one; raises JackError if it is not there."""
        return _choose(self.sends, name, "--send")

    def return_(self, name: str | None) -> str:
        """The same for the way back."""
        return _choose(self.returns, name, "--return")


def _choose(ports: tuple[str, ...], name: str | None, option: str) -> str:
    if name is None and ports:
        return ports[0]
    if name in ports:
        return str(name)
    if not ports:
        raise JackError(f"{option}: the JACK server has no such port: start what the gear is on")
    raise JackError(f"{option} {name}: no such port{nearest(str(name), [*ports])}")


def survey(prefix: Sequence[str] = ()) -> Server:
    """Ask the server what it has.

    prefix: put before the command of the JACK process, such as ("pw-jack",)
    raises: JackError
    """
    with _Process(["ports"], prefix) as process:
        event = process.next_event(ANSWER_S)
    physical = frozenset(event["physical"])

    def ordered(names: list[str]) -> tuple[str, ...]:
        return tuple(sorted(names, key=lambda name: name not in physical))

    sends, returns = ordered(event["sends"]), ordered(event["returns"])
    return Server(event["sample_rate_hz"], event["period_frames"], sends, returns, physical)


@dataclass(frozen=True)
class Way:
    """From where to where, and how long to listen after the last frame."""

    send: str
    back: str
    sample_rate_hz: int
    tail_frames: int


def record(
    sound: Block,
    way: Way,
    report: Callable[[Levels], None],
    prefix: Sequence[str] = (),
) -> tuple[Block, Watch]:
    """Play `sound` to way.send and record way.back; a whole take or an error.

    report: called some ten times a second
    returns: (len(sound) + tail_frames,) as it came back, late by the round trip; and its levels
    raises: JackError; DataError for a return that is silent or clipped
    """
    watch = Watch(sound, way.sample_rate_hz, way.back)
    with tempfile.TemporaryDirectory(prefix="ampd-capture-") as folder:
        played, heard = Path(folder) / "sound.npy", Path(folder) / "heard.npy"
        np.save(played, sound)
        argv = ["roll", str(played), str(heard), way.send, way.back]
        with _Process([*argv, "--tail-frames", str(way.tail_frames)], prefix) as process:
            event = process.next_event(ANSWER_S)
            while event.pop("event") == "levels":
                levels = Levels(**event)
                report(levels)
                watch.see(levels)
                event = process.next_event(SILENCE_S)
        result: Block = np.load(heard)
    return result, watch


class _Process:
    """The JACK process; on leaving it is asked to end by closing its input, then made to."""

    def __init__(self, arguments: Sequence[str], prefix: Sequence[str]) -> None:
        if importlib.util.find_spec("jack") is None:
            raise JackError("capture needs the package JACK-Client: pip install 'ampd[capture]'")
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed on exit
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", MODULE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for this process, which then ends that one
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        for make_it_end in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(END_S)
                break
            except subprocess.TimeoutExpired:
                make_it_end()
        self._process.wait()
        self._errors.close()

    def next_event(self, limit_s: float) -> dict[str, Any]:
        """The next thing it tells; raises JackError for an error, an end, or no word in time."""
        try:
            line = self._lines.get(timeout=limit_s)
        except queue.Empty:
            raise JackError(
                f"JACK does not answer within {limit_s:g} s: see whether its server still runs"
            ) from None
        if not line:
            raise JackError(f"the JACK client ended without a word: {self._last_words()}")
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "error":
            raise JackError(event["text"])
        return event

    def _last_words(self) -> str:
        code = self._process.wait(END_S)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {code}"
