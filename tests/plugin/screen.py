"""A screen that nobody sees: Xvfb, a window manager, and hands."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_S = 20.0
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("Xvfb", "openbox", "xsettingsd", "xdotool", "import")


def until(true: Callable[[], Any], what: str, limit_s: float = START_S) -> Any:
    """Poll until `true` gives something true, and return that."""
    deadline = time.monotonic() + limit_s
    while not (result := true()):
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)
    return result


class Screen:
    """Use as a context manager; what was started on it ends with it.

    home: the HOME of everything on it, so that no setting of the player is read or written
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._processes: list[subprocess.Popen[bytes]] = []
        self._display = ""

    def __enter__(self) -> Self:
        read, write = os.pipe()
        size = ["-screen", "0", "1600x1000x24"]
        argv = ["Xvfb", "-displayfd", str(write), *size, "-nolisten", "tcp"]
        self._processes.append(
            subprocess.Popen(
                argv, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )
        os.close(write)
        with os.fdopen(read) as told:
            number = told.readline().strip()
        assert number, "Xvfb does not start"
        self._display = f":{number}"
        self.start(["openbox"])
        settings = self._home / "xsettings"
        settings.touch()
        # JUCE before 7 asks the owner of XSETTINGS for its window, and dies where there is none.
        self.start(["xsettingsd", "-c", str(settings)])
        until(lambda: self._run("xdotool", "getmouselocation") is not None, "the screen answers")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def environment(self) -> dict[str, str]:
        """Of everything on this screen."""
        env = dict(os.environ, DISPLAY=self._display, HOME=str(self._home), NO_AT_BRIDGE="1")
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

    def window(self, name: str) -> int:
        """The window whose title matches, once it is there."""

        def found() -> int:
            told = self._run("xdotool", "search", "--onlyvisible", "--name", name)
            return int(told.split()[-1]) if told and told.split() else 0

        window: int = until(found, f"a window {name}")
        return window

    def drop(self, window: int, path: Path) -> None:
        """Drop the file on the middle of the window."""
        argv = [sys.executable, "-m", "tests.plugin.xdnd", str(window), str(path)]
        done = subprocess.run(argv, env=self.environment(), cwd=ROOT, check=False, timeout=60)
        assert done.returncode == 0, f"the window does not take {path}"

    def keys(self, window: int, *keys: str) -> None:
        """Press keys, the window in front."""
        self._run("xdotool", "windowactivate", "--sync", str(window))
        self._run("xdotool", "key", "--clearmodifiers", *keys)

    def type(self, text: str) -> None:
        """Type into the window in front."""
        self._run("xdotool", "type", "--delay", "20", text)

    def click(self, window: int, x: int, y: int) -> None:
        """Click at a place of the window."""
        self._run("xdotool", "windowactivate", "--sync", str(window))
        self._run("xdotool", "mousemove", "--window", str(window), str(x), str(y))
        self._run("xdotool", "click", "1")

    def picture(self, path: Path) -> None:
        """The whole screen as a PNG."""
        self._run("import", "-window", "root", str(path))

    def _run(self, *argv: str) -> str | None:
        done = subprocess.run(
            list(argv),
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout if done.returncode == 0 else None
