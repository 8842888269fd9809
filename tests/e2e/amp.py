"""A JACK client that is the gear: a delay, a distortion, a gain.

    python -m tests.e2e.amp --delay 100 --gain 0.5 [--freewheel]

Ports amp:in and amp:out. Prints {"event": "ready"}, and ends on SIGTERM.
"""

import argparse
import signal
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.demo.jack_tools import activate, client, say

DRIVE = 3.0
LONGEST_PERIOD = 8192


def distorted(sound: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    """What the amp makes of each frame."""
    made: NDArray[np.float32] = np.float32(gain) * np.tanh(np.float32(DRIVE) * sound)
    return made


class Amp:
    """Reads amp:in, writes amp:out `delay` frames later."""

    def __init__(self, opened: Any, delay: int, gain: float) -> None:
        self._in, self._out = opened.inports.register("in"), opened.outports.register("out")
        self._delay, self._gain = delay, gain
        self._line = np.zeros(delay + LONGEST_PERIOD, np.float32)

    def process(self, _frame: int, frames: int) -> None:
        """Audio thread of this process."""
        delay, line = self._delay, self._line
        line[delay : delay + frames] = distorted(self._in.get_array(), self._gain)
        self._out.get_array()[:] = line[:frames]
        line[:delay] = line[frames : frames + delay].copy()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=int, default=0)
    parser.add_argument("--gain", type=float, default=0.5)
    parser.add_argument("--freewheel", action="store_true")
    options = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with client("amp") as opened:
        activate(opened, Amp(opened, options.delay, options.gain))
        if options.freewheel:
            opened.set_freewheel(True)
        say(event="ready")
        ended.wait()
        if options.freewheel:
            opened.set_freewheel(False)


if __name__ == "__main__":
    main()
