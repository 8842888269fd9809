"""What lies in the library, found again by words: an SQLite file in [paths] cache.

A row holds what skim.py read of one file; it counts as long as path, size and time are the file's.
The file is a cache: damaged, or of another version, it is thrown away and made anew, and where it
cannot be written everything works from memory.  Hash and passport are noted only when somebody
asked for them.

All methods block on the disk; any thread, one at a time (a lock sees to it).
"""

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ampd.errors import CommandError
from ampd.library import Found
from ampd.skim import Facts

VERSION = 1  # grows when a column, or what stands in one, changes
CACHE_KIB = 6144  # SQLite's page cache, of each connection
BUSY_S = 2.0  # while another process writes
MAX_WORDS = 16
MAX_QUERY = 200
FIELDS = ("name", "gear", "tone", "family")
COST = re.compile(r"(?:cost|weights)(<=|>=|<|>|=)([0-9]+(?:\.[0-9]+)?)([km]?)")
FACTS = tuple(field.name for field in fields(Facts))
COLUMNS = ("kind", "root", "place", "path", "text", "name", "size_bytes", "changed_ns", *FACTS)
SCHEMA = f"""
CREATE TABLE entries (
    {", ".join(COLUMNS)}, sha256,
    PRIMARY KEY (kind, root, place, path)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""


@dataclass(frozen=True)
class Entry:
    """A file of the library as it was found and what it says of itself."""

    kind: str  # "model" | "cab" | "rig"
    name: str
    path: str
    size_bytes: int
    facts: Facts
    sha256: str | None  # None: not needed yet


@dataclass(frozen=True)
class Query:
    """What is looked for, as SQL."""

    where: str
    values: tuple[Any, ...]


def read_words(words: str) -> Query:
    """Words that must all be there, anywhere, or in one place: 'deluxe tone:clean cost<5k'.

    name: gear: tone: family: look there alone; cost compares the numbers of the net, which are
    near to its multiplications a sample.  Raises CommandError.
    """
    parts = words[:MAX_QUERY].casefold().split()
    if len(parts) > MAX_WORDS or len(words) > MAX_QUERY:
        raise CommandError(f"Too many words, expected at most {MAX_WORDS} ({MAX_QUERY} letters).")
    where: list[str] = []
    values: list[str | float] = []
    for part in parts:
        place, colon, rest = part.partition(":")
        if cost := COST.fullmatch(part):
            where.append(f"kind = 'model' AND weights {cost[1]} ?")
            values.append(float(cost[2]) * {"": 1, "k": 1e3, "m": 1e6}[cost[3]])
        elif part.startswith(("cost", "weights")) and part.strip("costweigh") != "":
            raise CommandError(f"{part!r}: expected a cost such as cost<5k or cost>=800.")
        elif colon and place in FIELDS:
            where.append(f"instr(lower({place}), ?) > 0")
            values.append(rest)
        elif colon:
            raise CommandError(f"{part!r}: expected one of {', '.join(f'{f}:' for f in FIELDS)}.")
        else:
            where.append("instr(text, ?) > 0")
            values.append(part)
    return Query(" AND ".join(where) or "1", tuple(values))


class Index:
    """The rows of one file, or of memory. close() it."""

    def __init__(self, path: Path | None) -> None:
        self.complaint = ""  # one sentence where the file cannot be used
        self.in_memory = path is None
        self._lock = threading.Lock()
        self._path = path
        self._base = self._open()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._base.close()

    # --- the file -------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            try:
                base = _opened(self._path)
            except (OSError, sqlite3.Error) as error:
                self._complain(error)
            else:
                self.complaint, self.in_memory = "", False
                return base
        self.in_memory = True
        return _made(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None))

    def _complain(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        self.complaint = (
            f"{self._path}: cannot be used ({reason}); what lies in the library is read anew after "
            f"every start. [paths] cache in ampd.toml names another folder."
        )

    def renew(self) -> None:
        """The file turned out to be damaged: begin another one, and memory where that fails."""
        with self._lock:
            with suppress(sqlite3.Error):
                self._base.close()
            if self._path is not None:
                with suppress(OSError):
                    _remove(self._path)
            self._base = self._open()

    def forget_file(self) -> None:
        """The file cannot be written after all: go on in memory."""
        with self._lock:
            with suppress(sqlite3.Error):
                self._base.close()
            self._complain(OSError(0, "it cannot be written"))
            self._path = None
            self._base = self._open()

    # --- rows -----------------------------------------------------------------------------------

    def known(self, kind: str, root: str) -> dict[str, tuple[int, int, str]]:
        """path -> (bytes, changed in ns, reason) of every row of that folder."""
        with self._lock, _damage_told():
            rows = self._base.execute(
                "SELECT path, size_bytes, changed_ns, reason FROM entries "
                "WHERE kind = ? AND root = ?",
                (kind, root),
            )
            return {path: (size, changed, reason) for path, size, changed, reason in rows}

    def put(self, kind: str, root: str, rows: Iterable[tuple[Found, Facts]]) -> None:
        """Note these files; each takes the place of its older row, whose hash is forgotten."""
        marks = ", ".join("?" * len(COLUMNS))
        values = [_row(kind, root, found, facts) for found, facts in rows]
        with self._lock, _transaction(self._base):
            self._base.executemany(
                f"INSERT OR REPLACE INTO entries ({', '.join(COLUMNS)}) VALUES ({marks})", values
            )

    def drop(self, kind: str, root: str, paths: Iterable[str]) -> None:
        """Forget files that are gone."""
        with self._lock, _transaction(self._base):
            self._base.executemany(
                "DELETE FROM entries WHERE kind = ? AND root = ? AND place = ? AND path = ?",
                [(kind, root, _place(Path(path).stem), path) for path in paths],
            )

    def search(
        self, kind: str, root: str, words: str, offset: int = 0, limit: int = 100
    ) -> tuple[int, list[Entry]]:
        """How many there are, and those from `offset` on, by name. Raises CommandError."""
        query = read_words(words)
        where = f"FROM entries WHERE kind = ? AND root = ? AND {query.where}"
        values = (kind, root, *query.values)
        with self._lock, _damage_told():
            rows = self._base.execute(
                f"SELECT name, path, size_bytes, sha256, {', '.join(FACTS)} {where} "
                f"ORDER BY place, path LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
            total = offset + len(rows)
            # A page that is not full has seen every row already.
            if len(rows) == limit or (not rows and offset):
                total = self._base.execute(f"SELECT count(*) {where}", values).fetchone()[0]
        return total, [
            Entry(kind, str(name), str(path), _whole(size), _facts(facts), sha256)
            for name, path, size, sha256, *facts in rows
        ]

    def note_hash(self, entry: Entry, root: str, sha256: str) -> None:
        """Keep the hash of a file, as long as it is the one that `entry` tells of."""
        with self._lock, _transaction(self._base):
            self._base.execute(
                "UPDATE entries SET sha256 = ? "
                "WHERE kind = ? AND root = ? AND place = ? AND path = ? AND size_bytes = ?",
                (sha256, entry.kind, root, _place(entry.name), entry.path, entry.size_bytes),
            )


def _row(kind: str, root: str, found: Found, facts: Facts) -> tuple[Any, ...]:
    said: Sequence[Any] = [getattr(facts, name) for name in FACTS]
    words = [found.name, *(value for value in said if isinstance(value, str))]
    text = storable(" ".join(words).casefold())
    name, path = storable(found.name), storable(found.path)
    file = (path, text, name, found.size_bytes, found.changed_ns)
    return (kind, root, _place(name), *file, *said)


def _facts(values: Sequence[Any]) -> Facts:
    """A damaged row may hold what is no fact."""
    plain = Facts()
    said = zip(FACTS, values, strict=True)
    return Facts(**{name: v for name, v in said if isinstance(v, type(getattr(plain, name)))})


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _place(name: str) -> str:
    """Where a name stands in a list: rows lie in this order, so a page of them is read alone."""
    return name.casefold()


def storable(text: str) -> str:
    """Names of files may hold bytes that are no UTF-8; here they have a ? for each."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _opened(path: Path) -> sqlite3.Connection:
    """The file, or a new one in its place where it is damaged. Raises OSError, sqlite3.Error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _damage_told():
            return _connected(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "lock" in str(error):
            raise
    _remove(path)
    return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    """An open file with the table in it. Raises sqlite3.Error where it is damaged."""
    base = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
    try:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        if base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("damaged")
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version == VERSION:
            base.execute(f"SELECT {', '.join(COLUMNS)}, sha256 FROM entries LIMIT 1").fetchall()
        elif base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError(f"version {version}")
        return _made(base) if version != VERSION else _tuned(base)
    except BaseException:
        base.close()
        raise


def _made(base: sqlite3.Connection) -> sqlite3.Connection:
    with suppress(sqlite3.OperationalError):  # another process made it meanwhile
        base.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
    if base.in_transaction:
        base.rollback()
    base.execute("SELECT 1 FROM entries LIMIT 1")  # whoever made it, it must be there now
    return _tuned(base)


def _tuned(base: sqlite3.Connection) -> sqlite3.Connection:
    base.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    base.text_factory = lambda text: text.decode("utf-8", "replace")
    return base


@contextmanager
def _damage_told() -> Iterator[None]:
    """Python's module says of some damage that it is no UTF-8."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise sqlite3.DatabaseError("damaged") from error


@contextmanager
def _transaction(base: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    with _damage_told():
        base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                base.execute("ROLLBACK")
            raise
        base.execute("COMMIT")


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
