"""The process that is a JACK client; it talks JSON, one event a line, and knows nothing else.

    python -m trainer.capture.jack_process ports
    python -m trainer.capture.jack_process roll SOUND.npy HEARD.npy SEND RETURN --tail-frames N

Its own process, because a meter that is drawn holds Python's lock for longer than a cycle lasts,
and because a call of libjack may hang or crash when a server dies.  `roll` ends when its standard
input is closed.
"""

import argparse
import contextlib
import gc
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jack
import numpy as np

from trainer.capture.levels import is_clipped, peak_of
from trainer.capture.tape import SlipError, Splicer, Tape

CLIENT = "ampd-capture"
TICK_S = 0.1
STILL_S = 4.0  # without a cycle while the tape should roll
CALM_S = 0.4  # without an xrun before the tape rolls again
RESTLESS_S = 20.0
MOST_TEARS = 50


class GoneError(Exception):
    """JACK does not do what a take needs; the text says what."""


def say(event: str, **fields: object) -> None:
    """One event on standard output."""
    print(json.dumps({"event": event, **fields}), flush=True)


@contextlib.contextmanager
def client() -> Iterator[Any]:
    """A client of the server that JACK_DEFAULT_SERVER names; never starts one."""
    opened = jack.Client(CLIENT, no_start_server=True)
    try:
        yield opened
    finally:
        opened.deactivate()
        opened.close()


def ports(_: argparse.Namespace) -> int:
    """Rate, period and audio ports of the server."""
    with client() as opened:

        def names(**kind: bool) -> list[str]:
            return [port.name for port in opened.get_ports(is_audio=True, **kind)]

        say(
            "server",
            sample_rate_hz=opened.samplerate,
            period_frames=opened.blocksize,
            sends=names(is_input=True),
            returns=names(is_output=True),
            physical=names(is_physical=True),
        )
    return 0


class Roll:
    """One take on one client."""

    def __init__(self, opened: Any, tape: Tape, ended: threading.Event) -> None:
        self.gone = ""
        self._opened, self._tape, self._ended = opened, tape, ended
        self._rate = int(opened.samplerate)
        self._splicer = Splicer(tape, self._rate)
        self._told, self._moved = 0, 0.0
        send, back = opened.outports.register("send"), opened.inports.register("return")

        def process(_frames: int) -> None:
            tape.process(send.get_array(), back.get_array(), opened.last_frame_time)

        def xrun(_delay_us: float) -> None:
            tape.xruns += 1

        def shut_down(_status: object, reason: str) -> None:
            self.gone = f"the JACK server is gone ({reason})"

        opened.set_process_callback(process)
        opened.set_xrun_callback(xrun)
        opened.set_shutdown_callback(shut_down)

    def run(self) -> bool:
        """Roll until the tape is whole (True) or nobody wants it any more.

        raises: GoneError, SlipError
        """
        position = 0
        while self._calm():
            self._told, self._moved = position, time.monotonic()
            self._tape.roll(position)
            while self._tape.rolling:
                if self._ended.wait(TICK_S):
                    return False
                self._check()
                self._tell()
            # An xrun of the last cycles is told of a little later.
            if self._tape.done and self._ended.wait(CALM_S):
                return False
            if not self._tape.torn:
                self._tell()
                self._splicer.finish()
                return True
            position = self._splicer.wind_back()
            if self._splicer.count > MOST_TEARS:
                raise GoneError(
                    f"JACK lost frames {MOST_TEARS} times: give it a longer period (jackd -p), and "
                    "close what else is running"
                )
        return False

    def _calm(self) -> bool:
        """Wait until no xrun was heard of for a while; False if nobody wants the take any more."""
        deadline = time.monotonic() + RESTLESS_S
        before = -1
        while before != self._tape.xruns:
            before = self._tape.xruns
            if self._ended.wait(CALM_S):
                return False
            self._check_server()
            if time.monotonic() > deadline:
                raise GoneError(
                    f"JACK loses frames without end ({before} xruns): give it a longer period "
                    "(jackd -p), or see which client is late"
                )
        return True

    def _check_server(self) -> None:
        if self.gone:
            raise GoneError(self.gone)

    def _check(self) -> None:
        self._check_server()
        now, position = time.monotonic(), self._tape.position
        if position != self._told or not self._tape.rolling:
            self._moved = now
        elif now - self._moved > STILL_S:
            raise GoneError(f"the JACK server has run no cycle for {STILL_S:g} s")

    def _tell(self) -> None:
        first, end = self._told, self._tape.position
        self._told = end
        heard = self._tape.heard[first:end]
        say(
            "levels",
            position=end,
            frames=len(self._tape.played),
            sent_peak=peak_of(self._tape.played[first:end]),
            heard_peak=peak_of(heard),
            clipped=is_clipped(heard),
            tears=self._splicer.count,
        )


def roll(options: argparse.Namespace) -> int:
    """Play SOUND.npy to SEND, write what comes back on RETURN to HEARD.npy."""
    ended = _until_ended()
    tape = Tape(np.load(options.sound), options.tail_frames)
    gc.disable()
    with client() as opened:
        take = Roll(opened, tape, ended)
        opened.activate()
        opened.connect(f"{opened.name}:send", options.send)
        opened.connect(options.back, f"{opened.name}:return")
        try:
            whole = take.run()
        except (GoneError, SlipError) as error:
            # Said before the client is closed: libjack may not survive that after its server.
            say("error", text=str(error))
            return 1
    if whole:
        np.save(options.heard, tape.heard)
        say("recorded")
    return 0


def _until_ended() -> threading.Event:
    """Set by SIGTERM, or when standard input is closed; Ctrl-C is for the parent to judge."""
    ended = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: ended.set())

    def read() -> None:
        sys.stdin.buffer.read()
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    return ended


def main() -> int:
    """0, or 1 after an event `error` whose text is for a person."""
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(required=True)
    verbs.add_parser("ports").set_defaults(run=ports)
    sub = verbs.add_parser("roll")
    sub.set_defaults(run=roll)
    sub.add_argument("sound", type=Path)
    sub.add_argument("heard", type=Path)
    sub.add_argument("send")
    sub.add_argument("back")
    sub.add_argument("--tail-frames", type=int, required=True)
    options = parser.parse_args()
    try:
        code: int = options.run(options)
    except jack.JackOpenError:
        say("error", text="no JACK server answers: start one, or name it in JACK_DEFAULT_SERVER")
        return 1
    except jack.JackError as error:
        say("error", text=f"JACK refuses: {error}")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
