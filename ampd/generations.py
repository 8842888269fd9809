"""State files on disk: the newest, and the one before it.

A save ends with all of the new file or all of the old one, whatever ends it: the process, the disk,
the power.  Everything blocks on the disk: not for the event loop.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from ampd.errors import StateError
from ampd.kept import MAX_BYTES, Kept, decode, encode
from ampd.places import content

ONLY_OWNER = 0o600


class Generations:
    """The two state files of the daemon `name` in one folder. One thread at a time."""

    def __init__(self, folder: Path, name: str) -> None:
        self.newest = folder / f"{name}.state"
        self.previous = folder / f"{name}.state.previous"
        self._new = folder / f".{name}.state.new"
        self._folder = folder

    def read(self, path: Path) -> Kept | None:
        """What is kept in one of the two; None where there is no file. Raises StateError."""
        try:
            return decode(content(str(path), MAX_BYTES))
        except FileNotFoundError:
            return None
        except (StateError, ValueError) as error:
            raise StateError(f"{path}: {error}.") from error
        except OSError as error:
            raise StateError(f"{path}: cannot be read ({error.strerror}).") from error

    def write(self, kept: Kept) -> None:
        """Make `kept` the newest, and what was the newest the previous one. Raises OSError, and
        what was kept last is in one of the two still."""
        data = encode(kept)
        if len(data) > MAX_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        self._make_folder()
        try:
            self._write_new(data)
            if self._is_good():
                self.newest.replace(self.previous)
            self._new.replace(self.newest)
            _sync_folder(self._folder)
        except OSError:
            with suppress(OSError):
                self._new.unlink()
            raise

    def _is_good(self) -> bool:
        """Whether the newest may take the place of the previous one, which is good."""
        with suppress(StateError):
            return self.read(self.newest) is not None
        return False

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_folder(self._folder.parent)

    def _write_new(self, data: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        number = os.open(self._new, flags, ONLY_OWNER)
        try:
            rest = memoryview(data)
            while rest:
                written = os.write(number, rest)
                if written == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                rest = rest[written:]
            os.fsync(number)
            # There are disks that say they have written.
            if os.pread(number, len(data) + 1, 0) != data:
                raise OSError(errno.EIO, "what was written reads back otherwise")
        finally:
            os.close(number)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that knows no fsync of folders
            raise
    finally:
        os.close(number)
