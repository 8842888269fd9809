"""A terminal as a screen: whole, quiet, and given back as it was.

Only lines that changed are sent, so that it is light over SSH and does not flicker.  One thread.
"""

import io
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console
from rich.text import Text

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
CLEAR_LINE, BEGIN, END = "\x1b[K", "\x1b[?2026h", "\x1b[?2026l"
KEYS = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[C": "right",
    "\x1bOC": "right",
    "\x1b[D": "left",
    "\x1bOD": "left",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\r": "enter",
    "\n": "enter",
    "\x1b": "escape",
    "\x03": "escape",
}


class Screen:
    """The terminal of stdin and stdout. Use as a context manager."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, force_terminal=True, soft_wrap=True)
        self._shown: list[Text] = []
        self._resized = True
        self._before: list[Any] = []
        self._handler: object = None

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(sys.stdin)
        self._handler = signal.signal(signal.SIGWINCH, self._notice_size)
        tty.setraw(sys.stdin, termios.TCSANOW)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a letter that it lacks ends nothing
        sys.stdout.write(ENTER)
        sys.stdout.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSANOW, self._before)
        signal.signal(signal.SIGWINCH, self._handler)  # type: ignore[arg-type]

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        size = shutil.get_terminal_size()
        return size.columns, size.lines

    def _notice_size(self, number: int, frame: FrameType | None) -> None:
        self._resized = True

    def show(self, lines: Sequence[Text]) -> None:
        """Show these lines from the top; what is the same as before is not sent."""
        if self._resized:
            self._resized = False
            self._shown = []
            sys.stdout.write("\x1b[2J")
        out, width = [], self.size[0]
        for number, line in enumerate(lines):
            if number < len(self._shown) and self._shown[number] == line:
                continue
            with self._console.capture() as capture:
                self._console.print(line, end="", no_wrap=True, crop=False)
            # In the last column the cursor stands still, and clearing would take that letter.
            rest = CLEAR_LINE if line.cell_len < width else ""
            out.append(f"\x1b[{number + 1};1H{capture.get()}\x1b[0m{rest}")
        self._shown = list(lines)
        if out:
            sys.stdout.write(f"{BEGIN}{''.join(out)}{END}")
            sys.stdout.flush()

    def wait(self, other: int, limit_s: float) -> list[str]:
        """The keys that were pressed, [] where `other`, a descriptor, can be read or the limit is
        over. A key is a letter or a name of KEYS."""
        ready, _, _ = select.select([sys.stdin, other], [], [], max(0.0, limit_s))
        if sys.stdin not in ready:
            return []
        return split_keys(os.read(sys.stdin.fileno(), 256).decode("utf-8", "ignore"))


def split_keys(typed: str) -> list[str]:
    """What was typed, key by key; sequences that are no key of ours are left out."""
    keys = []
    while typed:
        known = next((code for code in KEYS if len(code) > 1 and typed.startswith(code)), None)
        if known is None and typed.startswith(("\x1b[", "\x1bO")):
            end = next((n for n, c in enumerate(typed[2:], 3) if c.isalpha() or c == "~"), 2)
            typed = typed[end:]
            continue
        code = known or typed[0]
        keys.append(KEYS.get(code, code))
        typed = typed[len(code) :]
    return keys
