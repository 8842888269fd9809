"""A screen that nobody sees: Xvfb, a window manager, and hands that look at what they do.

A busy machine is late, and what is done to a window that is not ready is lost.  So a window counts
once it is managed, has its size and is painted; a key or a click is sent while no other program can
take the focus or cover the window (the server is grabbed); and whoever acts looks for the effect,
and acts again where there is none.
"""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from Xlib import XK, X, display, error
from Xlib.ext import xtest
from Xlib.protocol import event

from tests.demo.stage import until
from tests.plugin.patience import again
from tests.plugin.xdnd import Drop, Gift

HALF = 0.5
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("Xvfb", "openbox", "xsettingsd", "import")
PAGER = 2  # who asks for a window to be in front: not a program that wants attention

Pixels = NDArray[np.uint32]


class Screen:
    """Use as a context manager; what was started on it ends with it.

    home: the HOME of everything on it, so that no setting of the player is read or written
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._processes: list[subprocess.Popen[bytes]] = []
        self._name = ""
        self._display: Any = None
        self._root: Any = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._close()

    def _open(self) -> None:
        # Not :0, which is where JUCE without a DISPLAY looks for one, in whatever runs beside.
        first = 100 + os.getpid() % 800
        self._name = next(name for n in range(first, first + 100) if (name := self._serve(f":{n}")))
        self._display = display.Display(self._name)
        self._root = self._display.screen().root
        self.start(["openbox"])
        settings = self._home / "xsettings"
        settings.touch()
        # JUCE before 7 asks the owner of XSETTINGS for its window, and dies where there is none.
        self.start(["xsettingsd", "-c", str(settings)])
        owner = self._atom("_XSETTINGS_S0")
        until(lambda: self._display.get_selection_owner(owner), "the settings of the screen")
        until(lambda: self._property(self._root, "_NET_SUPPORTING_WM_CHECK"), "a window manager")

    def _serve(self, name: str) -> str:
        """Start the server under this name, and return it once it answers; "" where it is taken."""
        read, write = os.pipe()
        # -noreset: else the server begins anew, for all, when its last client so far has gone.
        # -r: a key that is let go late does not repeat.
        argv = ["Xvfb", name, "-displayfd", str(write), "-noreset", "-r", "-nolisten", "tcp"]
        argv += ["-screen", "0", "1600x1000x24"]
        server = subprocess.Popen(
            argv, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(write)
        with os.fdopen(read) as told:
            if not told.readline().strip():
                server.wait()
                return ""
        self._processes.append(server)
        return name

    def _close(self) -> None:
        if self._display is not None:
            with contextlib.suppress(error.ConnectionClosedError):
                self._display.close()
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def environment(self) -> dict[str, str]:
        """Of everything on this screen."""
        env = dict(os.environ, DISPLAY=self._name, HOME=str(self._home), NO_AT_BRIDGE="1")
        env.pop("WAYLAND_DISPLAY", None)
        env.pop("XDG_CONFIG_HOME", None)
        env["GTK_USE_PORTAL"] = "0"
        return env

    def start(self, argv: Sequence[str], log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a process that ends with the screen."""
        with (log or Path(os.devnull)).open("wb") as out:
            process = subprocess.Popen(
                list(argv), env=self.environment(), stdout=out, stderr=subprocess.STDOUT, cwd=ROOT
            )
        self._processes.append(process)
        return process

    # --- what is to be seen -----------------------------------------------------------------------

    def windows(self, title: str) -> list[int]:
        """The windows whose title matches, that the window manager knows and that are mapped."""
        found = []
        for number in self._property(self._root, "_NET_CLIENT_LIST") or ():
            with contextlib.suppress(error.BadWindow):
                window = self._window(number)
                names = (self._property(window, name) for name in ("_NET_WM_NAME", "WM_NAME"))
                text = next((name for name in names if name), b"").decode("utf-8", "replace")
                is_shown = window.get_attributes().map_state == X.IsViewable
                if is_shown and re.search(title, text):
                    found.append(int(number))
        return found

    def window(self, title: str) -> int:
        """The newest of them, once it is painted and in its place."""

        def found() -> int:
            for process in self._processes:
                assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
            number = (self.windows(title) or [0])[-1]
            return number if number and self._is_ready(number) else 0

        window: int = until(found, f"a window {title}")
        return window

    def taker(self, window: int) -> int:
        """The innermost window within this one that takes what is dropped, once there is one: of a
        plugin's editor, not of the host around it."""

        def within(number: int) -> list[int]:
            with contextlib.suppress(error.BadWindow):
                parts = [within(child.id) for child in self._window(number).query_tree().children]
                is_aware = self._property(self._window(number), "XdndAware") is not None
                return [number] * is_aware + [each for part in parts for each in part]
            return []

        found: int = until(lambda: (within(window)[1:] or [0])[-1], "an editor that takes a drop")
        until(lambda: self._is_ready(found), "the editor is painted")
        return found

    def picture(self, path: Path) -> None:
        """The whole screen as a PNG."""
        argv = ["import", "-window", "root", str(path)]
        subprocess.run(argv, env=self.environment(), check=False, timeout=60)

    def _is_ready(self, number: int) -> bool:
        before = self._place(number)
        time.sleep(0.1)
        pixels = self._pixels(number)
        return before is not None and before == self._place(number) and len(np.unique(pixels)) > 1

    def _place(self, number: int) -> tuple[int, int, int, int] | None:
        """x, y, width and height on the screen."""
        with contextlib.suppress(error.BadWindow, error.BadDrawable):
            window = self._window(number)
            size = window.get_geometry()
            at = self._root.translate_coords(window, 0, 0)
            return at.x, at.y, size.width, size.height
        return None

    def _pixels(self, number: int) -> Pixels:
        """What the window shows; none where it is gone."""
        with contextlib.suppress(error.BadWindow, error.BadDrawable, error.BadMatch):
            window = self._window(number)
            size = window.get_geometry()
            image = window.get_image(0, 0, size.width, size.height, X.ZPixmap, 0xFFFFFFFF)
            return np.frombuffer(image.data, np.uint32)
        return np.zeros(0, np.uint32)

    # --- what is done -----------------------------------------------------------------------------

    def focus(self, window: int) -> None:
        """Bring the window to the front: keys go to it, and nothing covers it."""
        again(
            lambda: self._ask(window, "_NET_ACTIVE_WINDOW", PAGER, X.CurrentTime, 0),
            lambda: self._has_focus(window),
            "the window has the focus",
        )

    def drop(self, window: int, target: int, path: Path) -> None:
        """Drop the file on the middle of the target, which is in the window or is it."""
        self.focus(window)
        before = self._pixels(target)

        def reacts() -> bool:
            now = self._pixels(target)
            return len(now) == len(before) and float(np.mean(now != before)) > HALF

        until(lambda: Drop(self._display, target, path, reacts).run(), f"{path} is taken")

    def key(self, window: int, chord: str) -> None:
        """Press keys together ("Control_L+v"), and nowhere but in this window."""
        codes = [
            self._display.keysym_to_keycode(XK.string_to_keysym(name)) for name in chord.split("+")
        ]

        def press() -> bool:
            self.focus(window)
            with self._alone():
                if not self._has_focus(window):
                    return False
                for code in codes:
                    xtest.fake_input(self._display, X.KeyPress, code)
                for code in reversed(codes):
                    xtest.fake_input(self._display, X.KeyRelease, code)
            return True

        until(press, f"{chord} is pressed")

    def click(self, window: int, x: int, y: int) -> None:
        """Click at a place of the window, and on nothing that covers it."""

        def press() -> bool:
            self.focus(window)
            with self._alone():
                at = self._root.translate_coords(self._window(window), x, y)
                xtest.fake_input(self._display, X.MotionNotify, x=at.x, y=at.y)
                if window not in self._under_pointer():
                    return False
                xtest.fake_input(self._display, X.ButtonPress, 1)
                xtest.fake_input(self._display, X.ButtonRelease, 1)
            return True

        until(press, "the button of the mouse is pressed")

    def paste(self, window: int, text: str) -> None:
        """Give the window the text, in place of what is written there: it has asked for it."""
        gift = Gift(self._display, "CLIPBOARD", ("UTF8_STRING",), text.encode())

        def press() -> None:
            self.key(window, "Control_L+a")
            self.key(window, "Control_L+v")

        try:
            again(press, lambda: gift.serve(1, lambda _: gift.given > 0), "the text is pasted")
        finally:
            gift.close()

    # --- X11 --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else is served by the screen."""
        self._display.grab_server()
        try:
            yield
        finally:
            self._display.ungrab_server()
            self._display.sync()

    def _has_focus(self, window: int) -> bool:
        """Whether keys go to it or to a part of it."""
        part = self._display.get_input_focus().focus
        with contextlib.suppress(error.BadWindow):
            while not isinstance(part, int):  # none, or whatever is under the pointer
                if part.id == window:
                    return True
                part = part.query_tree().parent
        return False

    def _under_pointer(self) -> list[int]:
        """The windows at the pointer, from the outermost on."""
        found, part = [], self._root
        while not isinstance(part, int):
            found.append(part.id)
            part = part.query_pointer().child
        return found

    def _ask(self, window: int, what: str, *data: int) -> None:
        """Ask the window manager."""
        message = event.ClientMessage(
            window=self._window(window),
            client_type=self._atom(what),
            data=(32, [*data, *[0] * (5 - len(data))]),
        )
        mask = X.SubstructureRedirectMask | X.SubstructureNotifyMask
        self._root.send_event(message, event_mask=mask)
        self._display.sync()

    def _window(self, number: int) -> Any:
        return self._display.create_resource_object("window", number)

    def _atom(self, name: str) -> int:
        atom: int = self._display.intern_atom(name)
        return atom

    def _property(self, window: Any, name: str) -> Any:
        found = window.get_full_property(self._atom(name), X.AnyPropertyType)
        return None if found is None else found.value
