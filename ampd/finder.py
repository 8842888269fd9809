"""Answers searches of the library, and keeps its index up to date in the background.

A process of its own (scan.py) does the looking and writes the file that is searched here.  Where
that file cannot be written the rows live in this process, and a thread of the lowest priority reads
the files, with a rest after each.  The methods of Finder belong to the event loop; what blocks runs
in worker threads.
"""

import asyncio
import json
import logging
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ampd.codes import code
from ampd.errors import AmpdError, CommandError
from ampd.index import FACTS, Entry, Index
from ampd.library import Library
from ampd.passports import Passport, Store, fingerprint
from ampd.scan import NOT_WRITTEN, command, root_of, scan

log = logging.getLogger(__name__)
T = TypeVar("T")

INDEX_FILE = "library.sqlite"
PAGE = 100  # entries of one answer
MAX_ANSWER_BYTES = 40_000  # of its JSON: what a datagram and every client can take
REST_S = 2.0  # between two looks at the folders
PAUSE_S = 0.002  # after each file, in a thread of the daemon itself
MAX_ASKING = 8  # searches that wait at a time
STOP_LIMIT_S = 2.0
LOWEST = 19  # of nice


@dataclass(frozen=True)
class Result:
    """One page of what was found."""

    kind: str
    words: str
    offset: int
    total: int
    complete: bool  # False: the folders are still being looked through
    note: str  # what is wrong with the index, "" = nothing
    entries: tuple[Entry, ...]
    passport: Passport | None = None  # of the only entry, where it was measured

    def to_json(self) -> str:
        """One object, of at most MAX_ANSWER_BYTES: a page may hold fewer entries for that."""
        head = {
            "words": self.words,
            "offset": self.offset,
            "total": self.total,
            "complete": self.complete,
            "note": self.note,
        }
        rows: list[str] = []
        size = 0
        for entry in self.entries:
            row = json.dumps(entry_row(entry, self.passport), separators=(",", ":"))
            size += len(row) + 1
            if size > MAX_ANSWER_BYTES:
                break
            rows.append(row)
        return f'{json.dumps(head, separators=(",", ":"))[:-1]},"entries":[{",".join(rows)}]}}'


def entry_row(entry: Entry, passport: Passport | None = None) -> dict[str, Any]:
    """An entry as JSON has it: what it does not say is left out."""
    facts = {key: value for key in FACTS if (value := getattr(entry.facts, key))}
    row = {"name": entry.name, "path": entry.path, "size_bytes": entry.size_bytes, **facts}
    if entry.sha256 is not None:
        row["sha256"] = entry.sha256
    if passport is not None:
        row["passport"] = asdict(passport)
    return row


def search(
    index: Index, library: Library, store: Store, kind: str, words: str, offset: int
) -> Result:
    """A page; hash and passport where one entry alone is meant. Blocks. Raises CommandError."""
    root = root_of(library, kind)
    total, entries = index.search(kind, root, words, offset, PAGE)
    passport = None
    if total == 1 and kind == "model" and entries and not entries[0].facts.reason:
        entries[0], passport = _measured(index, root, entries[0], store)
    return Result(kind, words, offset, total, True, index.complaint, tuple(entries), passport)


def _measured(index: Index, root: str, entry: Entry, store: Store) -> tuple[Entry, Passport | None]:
    if entry.sha256 is None:
        try:
            entry = replace(entry, sha256=fingerprint(Path(entry.path)))
        except AmpdError:  # it went away meanwhile
            return entry, None
        with suppress(sqlite3.Error):
            index.note_hash(entry, root, entry.sha256 or "")
    return entry, store.passport(entry.sha256 or "")


class Finder:
    """The index of a running daemon. Nothing is opened or read before refresh() or find()."""

    def __init__(self, library: Library, cache: Path) -> None:
        self._library = library
        self._store = Store(cache)
        self._path = cache / INDEX_FILE
        self._index: Index | None = None
        self._opening = threading.Lock()
        self._wanted = asyncio.Event()
        self._looked = asyncio.Event()  # through the folders, since the last change
        self._keeper: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ending = threading.Event()
        self._asking = 0
        self._said = ""

    def refresh(self) -> None:
        """Something may have changed: look through the folders soon. Returns at once."""
        self._looked.clear()
        self._wanted.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="finder")

    async def looked(self) -> None:
        """Wait until the folders are looked through."""
        await self._looked.wait()

    async def stop(self) -> None:
        """End the background work and close the index."""
        self._ending.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_LIMIT_S):
                    await self._process.wait()
        if self._index is not None:
            await asyncio.to_thread(self._index.close)

    async def find(self, kind: str, words: str = "", offset: int = 0) -> Result:
        """What matches all the words (index.read_words), from `offset` on, by name.

        kind: "model", "cab" or "rig". Raises CommandError.
        """
        if self._asking >= MAX_ASKING:
            raise CommandError(f"{MAX_ASKING} searches wait already; ask slower.")
        self._asking += 1
        try:
            result = await asyncio.to_thread(
                self._with_index,
                lambda index: search(index, self._library, self._store, kind, words, offset),
            )
        finally:
            self._asking -= 1
        if self._keeper is None:
            self.refresh()
        return replace(result, complete=self._looked.is_set())

    def _with_index(self, work: Callable[[Index], T]) -> T:
        """Do it; a file that turns out to be damaged is begun anew, and filled again."""
        index = self._opened()
        try:
            return work(index)
        except sqlite3.Error as error:
            log.warning(
                "%s: %s; the library is looked through anew.",
                self._path,
                error,
                extra=code("INDEX-ANEW"),
            )
            index.renew()
            self._loop_refresh()
            return work(index)

    def _opened(self) -> Index:
        with self._opening:
            if self._index is None:
                self._index = Index(self._path)
            return self._index

    def _loop_refresh(self) -> None:
        if self._keeper is not None and not self._ending.is_set():
            self._keeper.get_loop().call_soon_threadsafe(self.refresh)

    # --- in the background ----------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                index = await asyncio.to_thread(self._opened)
                if index.in_memory or not await self._scan_aside():
                    await self._scan_here()
            except (OSError, sqlite3.Error) as error:
                self._say(f"The library is not looked through: {error}.")
            except Exception:
                # A bug here must cost the search, not the daemon.
                log.exception("the finder stumbled", extra=code("INTERNAL"))
            if not self._wanted.is_set():
                self._looked.set()
            await asyncio.sleep(REST_S)

    async def _scan_aside(self) -> bool:
        """Let another process look; False where it could not write the index. It is made by vfork,
        so that no page of the daemon's memory, which JACK has locked, is copied under the sound."""
        self._process = await asyncio.create_subprocess_exec(
            *command(sys.executable, self._path, self._library),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the daemon's
        )
        _, text = await self._process.communicate()
        code = self._process.returncode
        if code == NOT_WRITTEN:
            return False
        if code:
            words = (text or b"").decode(errors="replace").strip().splitlines()[-1:] or [""]
            self._say(f"The library was not looked through to its end ({code}): {words[0]}")
        return True

    async def _scan_here(self) -> None:
        """Rows in memory: a thread reads the files."""
        index = await asyncio.to_thread(self._opened)
        if not index.in_memory:
            await asyncio.to_thread(index.forget_file)
        self._say(index.complaint)
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def look() -> None:
            try:
                _scan_gently(index, self._library, self._ending)
            finally:
                with suppress(RuntimeError):  # the loop is over
                    loop.call_soon_threadsafe(done.set)

        # Not one of the pool's: it could not get its priority back.
        threading.Thread(target=look, name="finder", daemon=True).start()
        await done.wait()

    def _say(self, text: str) -> None:
        """Once, not after every look."""
        if text and text != self._said:
            log.warning(text, extra=code("INDEX-PART"))
            self._said = text


def _scan_gently(index: Index, library: Library, ending: threading.Event) -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
    try:
        scan(index, library, PAUSE_S, ending)
    except (OSError, sqlite3.Error) as error:
        log.warning(
            "The library is not looked through to its end: %s.", error, extra=code("INDEX-PART")
        )
