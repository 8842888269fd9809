"""What one program gives another on a screen: a text that is asked for, a file that is dropped.

The protocols: X.Org, "Inter-Client Communication Conventions Manual", chapter 2 (selections);
freedesktop.org, "Drag-and-Drop Protocol for the X Window System".
"""

import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from Xlib import X, Xatom
from Xlib.protocol import event

LIMIT_S = 10.0
LOOK_S = 0.5
HIGHEST_VERSION = 5
ACCEPTED = 1  # the lowest bit of an XdndStatus


class Gift:
    """Owns a selection, and hands its bytes over to whoever asks for one of the kinds."""

    def __init__(self, display: Any, selection: str, kinds: tuple[str, ...], data: bytes) -> None:
        self._display = display
        self._root = display.screen().root
        self._data = data
        self._kinds = [display.intern_atom(kind) for kind in kinds]
        self._targets = display.intern_atom("TARGETS")
        self._selection = display.intern_atom(selection)
        self.window = self._root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
        self.window.set_selection_owner(self._selection, X.CurrentTime)
        display.sync()
        self.given = 0  # how often

    def close(self) -> None:
        """Nothing is given any more."""
        self.window.destroy()
        self._display.sync()

    def serve(self, limit_s: float, wanted: Callable[[Any], bool]) -> Any:
        """The first event that is wanted, or None; meanwhile what is asked for is handed over."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            while self._display.pending_events():
                found = self._display.next_event()
                if found.type == X.SelectionRequest and found.selection == self._selection:
                    self._hand_over(found)
                if wanted(found):
                    return found
            time.sleep(0.01)
        return None

    def _hand_over(self, asked: Any) -> None:
        place = asked.property or asked.target
        if asked.target == self._targets:
            asked.requestor.change_property(place, Xatom.ATOM, 32, [self._targets, *self._kinds])
        elif asked.target in self._kinds:
            asked.requestor.change_property(place, asked.target, 8, self._data)
            self.given += 1
        else:
            place = X.NONE
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


class Drop:
    """One drag of a file, as a file manager does it, to the middle of a window.

    reacts: whether the window shows that a file hovers over it. A window answers for all that is in
        it before it knows what lies under the hand; what it shows is the answer that counts.
    """

    def __init__(self, display: Any, window: int, path: Path, reacts: Callable[[], bool]) -> None:
        self._display = display
        self._root = display.screen().root
        self._target = display.create_resource_object("window", window)
        self._reacts = reacts
        uri = f"file://{urllib.parse.quote(str(path))}\r\n".encode()
        self._file = Gift(display, "XdndSelection", ("text/uri-list",), uri)

    def run(self) -> bool:
        """Whether the window took it."""
        try:
            aware = self._target.get_full_property(self._atom("XdndAware"), Xatom.ATOM)
            if aware is None:
                return False
            version = min(HIGHEST_VERSION, aware.value[0])
            self._send("XdndEnter", version << 24, self._atom("text/uri-list"), 0, 0)
            if not self._hover():
                self._send("XdndLeave", 0, 0, 0, 0)
                return False
            self._send("XdndDrop", 0, X.CurrentTime, 0, 0)
            return self._answer("XdndFinished", LIMIT_S) is not None
        finally:
            self._file.close()

    def _hover(self) -> bool:
        """Move over the window until it takes the file and shows it."""
        deadline = time.monotonic() + LIMIT_S
        copy = self._atom("XdndActionCopy")
        step = 0
        while time.monotonic() < deadline:
            step += 1
            self._send("XdndPosition", 0, self._middle(step % 2), X.CurrentTime, copy)
            status = self._answer("XdndStatus", LIMIT_S)
            if status is None:
                return False
            self._answer("", LOOK_S if step > 1 else 0.0)  # it asks for the file's name, and paints
            if status.data[1][1] & ACCEPTED and self._reacts():
                return True
        return False

    def _atom(self, name: str) -> int:
        atom: int = self._display.intern_atom(name)
        return atom

    def _middle(self, step: int) -> int:
        size = self._target.get_geometry()
        at = self._root.translate_coords(self._target, size.width // 2, size.height // 2)
        return int(at.x + step) << 16 | int(at.y)

    def _send(self, name: str, *rest: int) -> None:
        message = event.ClientMessage(
            window=self._target,
            client_type=self._atom(name),
            data=(32, [self._file.window.id, *rest]),
        )
        self._target.send_event(message, event_mask=0)
        self._display.flush()

    def _answer(self, name: str, limit_s: float) -> Any:
        """The next message of this name; none has no name."""
        atom = self._atom(name) if name else X.NONE
        return self._file.serve(
            limit_s, lambda found: found.type == X.ClientMessage and found.client_type == atom
        )
