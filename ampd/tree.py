"""A folder and the folders in it, watched for changes without holding anybody up.

A library may have 10,000 folders.  watchfiles puts its watches on in one piece, with the
interpreter held: over half a second in which no command would be answered.  Here each watch is a
call of its own that lets the others run.  A library is two levels deep, and so is this.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO = 0x8, 0x40, 0x80
IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x100, 0x200, 0x400, 0x800
IN_UNMOUNT, IN_Q_OVERFLOW, IN_ONLYDIR, IN_ISDIR = 0x2000, 0x4000, 0x1000000, 0x40000000
MASK = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
MASK |= IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT
HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name behind it
READ_BYTES = 64 * 1024


class Tree:
    """The watches on `folder` and on the folders in it, or on the file `only` of it alone. close()
    ends them.

    Methods: one thread at a time; add() blocks on the disk, news() does not. All raise OSError.
    """

    def __init__(self, folder: Path, only: str = "") -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._folder = folder
        self._only = os.fsencode(only)
        self._root = -1
        self.fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)  # readable: news
        if self.fd < 0:
            raise _error(folder)

    def close(self) -> None:
        """End all watches."""
        os.close(self.fd)

    def add(self) -> None:
        """Watch the folder and every folder in it; those that are watched already stay so."""
        self._root = self._watch(self._folder)
        if self._only:
            return
        with os.scandir(self._folder) as entries:
            for entry in entries:
                # What vanishes meanwhile is news by itself.
                with suppress(FileNotFoundError, NotADirectoryError):
                    if entry.is_dir():
                        self._watch(Path(entry.path))

    def news(self) -> tuple[bool, bool]:
        """Whether anything changed since the last call, and whether add() must look again.

        Raises FileNotFoundError where the folder itself is gone.
        """
        changed = again = False
        for watch, mask, name in self._events():
            if watch == self._root and mask & GONE:
                raise FileNotFoundError(f"{self._folder} is gone")
            if self._only and name != self._only and not mask & IN_Q_OVERFLOW:
                continue
            changed = True
            again |= bool(mask & IN_Q_OVERFLOW)
            again |= bool(mask & IN_ISDIR and mask & (IN_CREATE | IN_MOVED_TO))
        return changed, again

    def _events(self) -> Iterator[tuple[int, int, bytes]]:
        with suppress(BlockingIOError):
            while data := os.read(self.fd, READ_BYTES):
                at = 0
                while at < len(data):
                    watch, mask, _, length = HEAD.unpack_from(data, at)
                    at += HEAD.size + length
                    yield watch, mask, data[at - length : at].rstrip(b"\0")

    def _watch(self, folder: Path) -> int:
        watch: int = self._libc.inotify_add_watch(self.fd, os.fsencode(folder), MASK)
        if watch < 0:
            raise _error(folder)
        return watch


def _error(folder: Path) -> OSError:
    number = ctypes.get_errno()
    if number == errno.ENOSPC:
        return OSError(
            number,
            f"{folder}: the system watches no more folders; raise fs.inotify.max_user_watches",
        )
    return OSError(number, os.strerror(number), str(folder))
