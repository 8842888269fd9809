# ruff: noqa: PTH111, PTH113, PTH118, PTH123
"""Where the daemon listens and its files lie unless ampd.toml says otherwise, and a bounded look
at one.

Needs nothing that takes time to load: the start looks here first (headstart.py), and so do clients.
"""

import os
import stat

HOST = "127.0.0.1"
PORT = 9010
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def settings_file() -> str:
    """The ampd.toml that is found: that of the working directory, else the user's; "" for none."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    places = ("ampd.toml", os.path.join(home, "ampd", "ampd.toml"))
    return next((place for place in places if os.path.isfile(place)), "")


def cache_folder() -> str:
    """Where measurements are kept: $XDG_CACHE_HOME/ampd or ~/.cache/ampd."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(home, "ampd")


def state_folder() -> str:
    """Where it is kept what plays: $STATE_DIRECTORY, which systemd sets, $XDG_STATE_HOME/ampd or
    ~/.local/state/ampd."""
    by_systemd = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if by_systemd:
        return by_systemd
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(home, "ampd")


def content(path: str, most_bytes: int) -> bytes:
    """So much of a regular file at most: a pipe must not hold up the start. Raises OSError,
    ValueError."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ValueError("is no file")
        return os.read(number, most_bytes)
    finally:
        os.close(number)


def boot_id() -> str:
    """The kernel's name for its own run; "" where it has none."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()[:64]
    except (OSError, UnicodeDecodeError):
        return ""
