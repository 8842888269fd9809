"""Looks through the folders of the library and brings the index up to date.

The daemon runs this as a process of its own, `python -m ampd.scan`, at the machine's idle
priority: not a cycle of it is taken from the sound or from the daemon's loop, and whatever a file
does to it, the daemon lives.
"""

import os
import resource
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ampd.index import Index, storable
from ampd.library import Found, Library
from ampd.skim import Facts, skim_impulse, skim_model, skim_rig

KINDS = ("model", "cab", "rig")
BATCH = 100  # rows that become visible at once
MEMORY_BYTES = 512 * 1024 * 1024
NOT_WRITTEN = 3  # exit code: the index cannot be written
_SKIMS: dict[str, Callable[[Path], Facts]] = {
    "model": skim_model,
    "cab": skim_impulse,
    "rig": skim_rig,
}


def root_of(library: Library, kind: str) -> str:
    """The folder whose rows belong to `kind`."""
    folders = {"model": library.models_path, "cab": library.cabs_folder, "rig": library.rigs_path}
    return str(folders[kind].absolute())


def scan(
    index: Index, library: Library, pause_s: float = 0.0, ending: threading.Event | None = None
) -> int:
    """Read what is new or changed, forget what is gone; how many rows changed.

    pause_s: a rest after every file that is read; ending: once it is set, nothing more is done.
    Raises sqlite3.Error.
    """
    rest = _rest(pause_s, ending or threading.Event())
    return sum(_scan_kind(index, library, kind, rest) for kind in KINDS)


def scan_for(
    index: Index, library: Library, kind: str, tell: Callable[[int], None] | None = None
) -> int:
    """The same for one kind, and at once; tell(files read so far) now and then."""
    read = 0

    def count() -> bool:
        nonlocal read
        read += 1
        if tell is not None and read % BATCH == 0:
            tell(read)
        return False

    return _scan_kind(index, library, kind, count)


def _rest(pause_s: float, ending: threading.Event) -> Callable[[], bool]:
    return lambda: ending.wait(pause_s) if pause_s else ending.is_set()


def _scan_kind(index: Index, library: Library, kind: str, ended: Callable[[], bool]) -> int:
    root = root_of(library, kind)
    gone = index.known(kind, root)
    changed = 0
    for batch in _batches(_news(_listed(library, kind), gone)):
        rows = []
        for found in batch:
            if ended():
                return changed
            rows.append((found, _facts(kind, found)))
        index.put(kind, root, rows)
        changed += len(rows)
    if gone:
        index.drop(kind, root, gone)
    return changed + len(gone)


def _listed(library: Library, kind: str) -> Iterator[Found]:
    return {"model": library.models, "cab": library.cabs, "rig": library.rigs}[kind]()


def _news(listed: Iterable[Found], known: dict[str, tuple[int, int, str]]) -> Iterator[Found]:
    """What is not known as it is; takes out of `known` what is still there."""
    for found in listed:
        row = known.pop(storable(found.path), None)
        # A link can come to lead elsewhere without a change of the file.
        same = row is not None and row[:2] == (found.size_bytes, found.changed_ns)
        if not same or (found.reason and row and row[2] != found.reason):
            yield found


def _facts(kind: str, found: Found) -> Facts:
    return Facts(reason=found.reason) if found.reason else _SKIMS[kind](Path(found.path))


def _batches(news: Iterable[Found]) -> Iterator[list[Found]]:
    batch = []
    for found in news:
        batch.append(found)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def command(python: str, index_path: Path, library: Library) -> list[str]:
    """The command line of the process."""
    folders = (library.rigs_path, library.models_path, library.cabs_folder)
    return [python, "-m", "ampd.scan", str(index_path), *(str(path) for path in folders)]


def give_way() -> None:
    """Take only what nobody else wants: processor, disk, and not all of the memory."""
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def main() -> int:
    """python -m ampd.scan INDEX RIGS MODELS CABS"""
    path, rigs, models, cabs = map(Path, sys.argv[1:5])
    give_way()
    try:
        index = Index(path)
        if index.in_memory:
            return NOT_WRITTEN
        scan(index, Library(rigs, models, cabs))
        index.close()
    except sqlite3.Error as error:
        print(f"{path}: {error}", file=sys.stderr)
        return NOT_WRITTEN
    return 0


if __name__ == "__main__":
    sys.exit(main())
