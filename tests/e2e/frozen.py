"""The daemon with a control plane that can be stopped: `ampd` in this process.

    python tests/e2e/frozen.py run --rig clean

SIGUSR1: the main thread sits in a system call and keeps the interpreter's lock, so that no line of
Python runs, until SIGUSR2. Prints {"event": "frozen"} before and {"event": "thawed"} after.
"""

import ctypes
import json
import signal
import sys
import time
from types import FrameType

from ampd.cli import main

LIBC = ctypes.PyDLL(None)  # the one kind of library that is called with the lock held


def say(event: str) -> None:
    print(json.dumps({"event": event, "second": time.monotonic()}), flush=True)


def freeze(_: int, __: FrameType | None) -> None:
    say("frozen")
    LIBC.pause()
    say("thawed")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, freeze)
    signal.signal(signal.SIGUSR2, lambda *_: None)  # it only ends the pause
    sys.exit(main())
