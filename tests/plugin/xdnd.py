"""Drop a file on a window, as a file manager does: XDND by hand.

    python -m tests.plugin.xdnd WINDOW FILE

WINDOW is a number of X11's.  The protocol: freedesktop.org, "Drag-and-Drop Protocol for the X
Window System".  Exit code 1 where the window does not take it.
"""

import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

from Xlib import X, Xatom, display
from Xlib.protocol import event

LIMIT_S = 5.0
HAND_S = 0.5
HIGHEST_VERSION = 5


class Drop:
    """One drag from a window of its own to the middle of the target."""

    def __init__(self, window: int, path: Path) -> None:
        self._display = display.Display()
        self._root = self._display.screen().root
        self._source = self._root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
        self._target = self._display.create_resource_object("window", window)
        quoted = urllib.parse.quote(str(path))
        self._uri = f"file://{quoted}\r\n".encode()
        self._source.set_selection_owner(self._atom("XdndSelection"), X.CurrentTime)

    def run(self) -> bool:
        """Whether the target took it."""
        aware = self._target.get_full_property(self._atom("XdndAware"), Xatom.ATOM)
        if aware is None:
            return False
        version = min(HIGHEST_VERSION, aware.value[0])
        kind = self._atom("text/uri-list")
        self._send("XdndEnter", version << 24, kind, 0, 0)
        copy = self._atom("XdndActionCopy")
        for step in (0, 1):
            self._send("XdndPosition", 0, self._middle(step), X.CurrentTime, copy)
            if self._answer("XdndStatus") is None:
                return False
        self._answer("", HAND_S)  # a hand is slower than the window, which asks for the name now
        self._send("XdndDrop", 0, X.CurrentTime, 0, 0)
        return self._answer("XdndFinished") is not None

    def _atom(self, name: str) -> int:
        atom: int = self._display.intern_atom(name)
        return atom

    def _middle(self, step: int) -> int:
        size = self._target.get_geometry()
        at = self._root.translate_coords(self._target, size.width // 2, size.height // 2)
        x, y = int(abs(at.x)) + step, int(abs(at.y))
        return x << 16 | y

    def _send(self, name: str, *rest: int) -> None:
        message = event.ClientMessage(
            window=self._target,
            client_type=self._atom(name),
            data=(32, [self._source.id, *rest]),
        )
        self._target.send_event(message, event_mask=0)
        self._display.flush()

    def _answer(self, wanted: str, limit_s: float = LIMIT_S) -> Any:
        """The next message of this name; meanwhile the file's name is handed over when asked."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            while self._display.pending_events():
                found = self._display.next_event()
                if found.type == X.SelectionRequest:
                    self._hand_over(found)
                elif (
                    wanted
                    and found.type == X.ClientMessage
                    and found.client_type == self._atom(wanted)
                ):
                    return found
            time.sleep(0.01)
        return None

    def _hand_over(self, asked: Any) -> None:
        place = asked.property or asked.target
        asked.requestor.change_property(place, asked.target, 8, self._uri)
        asked.requestor.send_event(
            event.SelectionNotify(
                time=asked.time,
                requestor=asked.requestor,
                selection=asked.selection,
                target=asked.target,
                property=place,
            )
        )
        self._display.flush()


if __name__ == "__main__":
    sys.exit(0 if Drop(int(sys.argv[1]), Path(sys.argv[2])).run() else 1)
