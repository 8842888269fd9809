"""A tone into the daemon and an ear at its output: when it is heard, and what it is.

    python -m tests.demo.ear [--client ampd] [--limit-s 20]

One process, one client named `ear` with the ports `tone` and `left`, which the daemon connects by
its patterns; it looks for the server until there is one.  Each line of its output is one event with
its monotonic second: `ready` (about to look), `back` (the server has it), `client` (the daemon's
ports are there), `linked`, and `heard` with what was heard:

    unlike    the harmonics a few periods after the first sample and 0.6 s later: RMS of the
              difference, of that of the later ones: large until it is the rig's own sound
    cents     how far the tone that is heard lies off the one that was played
    rms       of the later one
    level_db  its harmonics 1 to 4

It goes on with its tone until SIGTERM, says `again` with the second whenever sound comes back after
5 ms of silence or more, and in the end `over` with `silent_ms`, the longest silence since the first
sample.
"""

import argparse
import math
import threading
import time
from typing import Any

import jack
import numpy as np
from numpy.typing import NDArray

from tests.demo.jack_tools import say, until_ended

PERIOD = 200  # frames of the tone, at any rate
TONE = 0.1
HEARD = 1e-4  # of full scale
EARLY, LATE, TAKEN = 10, 150, 170  # periods behind the first sample
LOOK_S = 0.02
GAP_S = 0.005


class Ear:
    """Its client's callbacks, and what they noted."""

    def __init__(self, client: Any, theirs: str) -> None:
        self._client, self._theirs = client, theirs
        self._tone = client.outports.register("tone")
        self._left = client.inports.register("left")
        self._take = np.zeros(TAKEN * PERIOD, np.float32)
        self._taken = 0
        self._frame = 0
        self._next: int | None = None
        self._wave = (TONE * np.sin(2 * np.pi * np.arange(PERIOD) / PERIOD)).astype(np.float32)
        self.gaps = 0
        self.again: list[float] = []
        self._silent = self.silent = 0  # frames of the silence that lasts; the longest one
        self.seconds: dict[str, float] = {}
        self.full = threading.Event()
        client.set_process_callback(self._process)
        client.set_port_registration_callback(self._registered, only_available=False)
        client.set_port_connect_callback(self._linked, only_available=False)

    def _process(self, frames: int) -> None:
        now_s = time.monotonic()
        frame = self._client.last_frame_time
        self.gaps += self._next is not None and frame != self._next
        self._next = frame + frames
        at = self._frame % PERIOD
        self._tone.get_array()[:] = np.resize(np.roll(self._wave, -at), frames)
        self._frame += frames
        heard = self._left.get_array()
        if "heard" not in self.seconds:
            loud = np.flatnonzero(np.abs(heard) > HEARD)
            if not len(loud):
                return
            self.seconds["heard"] = now_s + int(loud[0]) / self._client.samplerate
            self.gaps = 0
            heard = heard[loud[0] :]
        self._note_silence(heard)
        chunk = heard[: len(self._take) - self._taken]
        self._take[self._taken : self._taken + len(chunk)] = chunk
        self._taken += len(chunk)
        if self._taken == len(self._take):
            self.full.set()

    def _note_silence(self, heard: NDArray[np.float32]) -> None:
        loud = np.flatnonzero(np.abs(heard) > HEARD)
        if not len(loud):
            self._silent += len(heard)
            return
        if self._silent > GAP_S * self._client.samplerate:
            self.again.append(time.monotonic())
        gaps = np.diff(loud, prepend=-1 - self._silent) - 1
        self.silent = max(self.silent, int(gaps.max()))
        self._silent = len(heard) - 1 - int(loud[-1])

    def _registered(self, port: Any, is_new: bool) -> None:
        if is_new and port is not None and port.name.startswith(f"{self._theirs}:"):
            self.seconds.setdefault("client", time.monotonic())

    def _linked(self, _a: Any, _b: Any, made: bool) -> None:
        if made:
            self.seconds["linked"] = time.monotonic()

    def judged(self) -> dict[str, object]:
        """What was heard, once the take is full."""
        periods = self._take.reshape(TAKEN, PERIOD).astype(np.float64)
        early, late = spectrum(periods[EARLY : EARLY + 5]), spectrum(periods[LATE:])
        whole = float(np.linalg.norm(late))
        levels = [round(20 * math.log10(float(each) + 1e-9), 2) for each in late[:4]]
        return {
            "unlike": float(np.linalg.norm(early - late)) / whole,
            "cents": off_cents(self._take[EARLY * PERIOD :]),
            "rms": whole / math.sqrt(2),
            "level_db": levels,
            "gaps": self.gaps,
        }


def spectrum(periods: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitudes of the tone's harmonics, the median of the periods: where a server loses frames
    the phase jumps, and they stay. What is constant is left out: it settles slowly."""
    found: NDArray[np.float64] = np.median(np.abs(np.fft.rfft(periods)), axis=0)[1:] / PERIOD * 2
    return found


def off_cents(heard: NDArray[np.float32]) -> float:
    """How far the tone lies off PERIOD, by the phase of its first harmonic from part to part."""
    part = 20 * PERIOD
    count = len(heard) // part
    probe = np.exp(-2j * np.pi * np.arange(part) / PERIOD)
    phases = np.unwrap([np.angle(heard[i * part : (i + 1) * part] @ probe) for i in range(count)])
    slope = float(np.polyfit(np.arange(count) * part, phases, 1)[0])  # radians a frame
    return 1200 * math.log2(1 + slope * PERIOD / (2 * math.pi))


def opened(limit_s: float) -> Any:
    """The client, as soon as there is a server."""
    until_s = time.monotonic() + limit_s
    while True:
        try:
            return jack.Client("ear", no_start_server=True)
        except jack.JackError:
            if time.monotonic() > until_s:
                raise
            time.sleep(LOOK_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--client", default="ampd")
    parser.add_argument("--limit-s", type=float, default=20.0)
    options = parser.parse_args()
    jack.set_error_function(lambda _: None)
    jack.set_info_function(lambda _: None)
    ended = until_ended()
    say(event="ready", second=time.monotonic())
    client = opened(options.limit_s)
    back_s = time.monotonic()
    ear = Ear(client, options.client)
    client.activate()
    say(event="back", second=back_s, rate_hz=client.samplerate, frames=client.blocksize)
    if not ear.full.wait(options.limit_s):
        raise SystemExit(f"nothing was heard within {options.limit_s:g} s; seen: {ear.seconds}")
    for event in ("client", "linked"):
        if event in ear.seconds:
            say(event=event, second=ear.seconds[event])
    say(event="heard", second=ear.seconds["heard"], **ear.judged())
    told = 0
    while not ended.wait(LOOK_S):
        for second in ear.again[told:]:
            say(event="again", second=second)
            told += 1
    say(event="over", silent_ms=1000 * ear.silent / client.samplerate)
    client.deactivate()
    client.close()


if __name__ == "__main__":
    main()
