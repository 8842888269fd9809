"""The editor in pedalboard's window, in a process of its own, since it takes the main thread.

    python -m tests.plugin.hosted_editor PLUGIN DONE IN.npy OUT.npy

The window stays until the file DONE is there; then IN is played and OUT written.
"""

import sys
import threading
import time
from pathlib import Path

import numpy as np

from tests.plugin.hosts import load, play

RATE_HZ = 48_000


def main(plugin_path: str, done: str, source: str, target: str) -> None:
    plugin = load(Path(plugin_path))
    close = threading.Event()

    def watch() -> None:
        while not Path(done).exists():
            time.sleep(0.05)
        close.set()

    threading.Thread(target=watch, daemon=True).start()
    plugin.show_editor(close)
    np.save(target, play(plugin, np.load(source)[None], RATE_HZ)[0])


if __name__ == "__main__":
    main(*sys.argv[1:5])
