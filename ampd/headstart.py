# ruff: noqa: PTH111, PTH116, PTH118, PTH120
"""The first tenth of a second of a start: what played last is heard before the daemon is loaded.

Beside the state lies CLIENT.headstart (encore.py): the chain that played, resolved to plain values,
and what JACK was to it.  A start that finds it valid opens JACK, builds that one chain, plays and
makes the links, all in the thread "jack open"; only then is the rest of Python imported, and the
session takes over engine and client as they run.  The file holds only as long as nothing that it
was made of has changed: state, settings, rig, models and impulses, each by its stamp.  Any doubt,
and the start goes the long way (resume.py), which needs none of this.

What this module imports stands between the start and the first sound: no pathlib, no dataclasses.
"""

from __future__ import annotations

import _socket as socket  # its other half, in Python, is not needed for a look at a port
import json
import os
import threading
import zlib
from collections.abc import Mapping, Sequence

from ampd import __version__
from ampd._engine import (
    BindingSpec,
    BlockSpec,
    ChainInfo,
    Engine,
    Impulse,
    JackError,
    JackHost,
    Model,
    RigSpec,
)
from ampd.places import boot_id, content, settings_file, state_folder

TYPE_CHECKING = False  # mypy takes it for typing's, which costs as much as all else here
if TYPE_CHECKING:
    from typing import Any, TypeAlias

VERSION = 1
MAX_BYTES = 4 * 1024 * 1024
WAIT_S = 1.0  # for a JACK that does not answer; the start goes on without it

Rows: TypeAlias = "dict[str, Any]"  # a chain as JSON has it: what to_spec() takes
Stamp: TypeAlias = "list[str | int]"


class Headstart:
    """What was begun. Waited for by the main thread, handed over to session and supervisor."""

    def __init__(self, found: Mapping[str, Any], impulses: Mapping[str, Impulse]) -> None:
        self.rows: Rows = found["rows"]
        self.slot = int(found["slot"])
        self.engine: Engine | None = None
        self.info: ChainInfo | None = None
        self.host: JackHost | None = None
        self.is_taken = False  # the session has the engine, the supervisor has the client
        self._found = found
        self._impulses = impulses
        self._over = threading.Event()
        threading.Thread(target=self._run, name="jack open", daemon=True).start()

    def wait(self, limit_s: float | None = WAIT_S) -> bool:
        """Wait for its end; whether it came. Thread: any."""
        return self._over.wait(limit_s)

    @property
    def plays(self) -> bool:
        """Whether it came to its end and JACK drives the engine now."""
        host = self.host
        return self._over.is_set() and self.info is not None and host is not None and not host.lost

    @property
    def wiring(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """What the player did to the links: made, apart."""
        return tuple(tuple((a, b) for a, b in links) for links in self._found["wiring"])

    def close(self) -> None:
        """Let go of the client. Thread: the supervisor's; wait(None) comes first."""
        if self.host is not None:
            self.host.close()
        self.host = self.engine = self.info = None

    def _run(self) -> None:
        try:
            self._play()
        except Exception:  # noqa: BLE001 (whatever it is, the long way finds and says it)
            self.info = None
        finally:
            self._over.set()

    def _play(self) -> None:
        found = self._found
        client, server, links = found["jack"]
        self.host = host = JackHost()
        host.open(client, server)
        self.engine = engine = Engine(host.sample_rate_hz, True)
        info = engine.install(self.slot, to_spec(self.rows, self._impulses))
        for index, value in found["globals"]:
            engine.set_global(index, value)
        engine.select(self.slot)
        for index, value in found["turned"]:
            engine.set_param(self.slot, index, value)
        host.activate(engine)
        for source, destination in links:
            try:
                host.connect(source, destination)
            except JackError:  # the supervisor makes what can be made, and tells of the rest
                continue
        self.info = info


def to_spec(
    rows: Rows, impulses: Mapping[str, Impulse], loaded: Mapping[str, Model] | None = None
) -> RigSpec:
    """The chain of plain values as the engine takes it; impulses, and models that are loaded
    already, by the paths that it names."""
    return RigSpec(
        values=rows["values"],
        blocks=[
            BlockSpec(
                kind,
                name,
                values,
                model,
                [(at, path) for at, path in family],
                impulses[impulse] if impulse else None,
                beside,
                loaded or {},
            )
            for kind, name, values, model, family, impulse, beside in rows["blocks"]
        ],
        snapshots=rows["snapshots"],
        morph=(rows["morph"][0], rows["morph"][1]),
        input_trim_db=rows["trims"][0],
        output_trim_db=rows["trims"][1],
        bindings=[BindingSpec(*binding) for binding in rows["bindings"]],
        on_load=[bytes.fromhex(message) for message in rows["on_load"]],
    )


def begin(words: Sequence[str]) -> Headstart | None:
    """Begin to play what played last, for `ampd run` with these arguments; None where that is not
    to be had. Main thread; blocks for a few reads of files."""
    try:
        return _begin(words)
    except Exception:  # noqa: BLE001 (a headstart is never needed)
        return None


def _begin(words: Sequence[str]) -> Headstart | None:
    place = _place(words)
    if place is None:
        return None
    settings = content(place, MAX_BYTES).decode() if place else ""
    client = said(settings, "jack", "client_name") or "ampd"
    base = os.path.dirname(place) if place else ""
    state = said(settings, "paths", "state") or state_folder()
    path = os.path.join(base, os.path.expanduser(state), f"{client}.headstart")
    found, blob = unsealed(content(path, MAX_BYTES))
    if not _holds(found, place):
        return None
    impulses = {}
    for path, rate_hz, channels, frames in found["impulses"]:
        size = 4 * channels * frames
        samples = memoryview(blob)[:size].cast("f", shape=[channels, frames])
        impulses[path] = Impulse(path, rate_hz, samples)  # type: ignore[arg-type]
        blob = blob[size:]
    return Headstart(found, impulses)


def _place(words: Sequence[str]) -> str | None:
    """The file of the settings, "" without one; None: arguments that ask for something else than
    what played last."""
    if not words:
        return settings_file()
    if len(words) == 2 and words[0] == "--config":
        return words[1]
    return None


def said(settings: str, section: str, key: str) -> str:
    """A text in the plainest form that TOML has, "" where it is not. What is written otherwise is
    not seen, and the start goes the long way: a reader of TOML takes longer than building a rig."""
    here = ""
    for line in settings.splitlines():
        word, _, value = (part.strip() for part in line.partition("="))
        if word.startswith("["):
            here = word
        elif here == f"[{section}]" and word == key and value.startswith('"'):
            return value[1:].partition('"')[0]
    return ""


def _holds(found: Mapping[str, Any], place: str) -> bool:
    """Whether all that it was made of is as it was, and nobody else plays it."""
    if found["version"] != __version__ or found["settings"] != settings_mark(place):
        return False
    if any(stamp_of(path) != [path, *rest] for path, *rest in found["stamps"]):
        return False
    if found["moments"] and found["boot"] != boot_id():
        return False
    host, port = found["listens"]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_DGRAM)
    try:
        probe.bind((host, port))
    finally:
        probe.close()
    return True


def settings_mark(place: str) -> int:
    """What changes when the file of the settings does; "" is none."""
    if not place:
        return 0
    return zlib.crc32(content(place, MAX_BYTES))


def stamp_of(path: str) -> Stamp:
    """What changes when the file does: ampd.library.stamp of one file, as JSON has it."""
    try:
        status = os.stat(path)
    except OSError:
        return [path, 0, 0, 0]
    return [path, status.st_ino, status.st_size, status.st_mtime_ns]


def sealed(found: Mapping[str, Any], blob: bytes) -> bytes:
    """The whole content of a file: a line that says what it is, one of JSON, the samples."""
    body = json.dumps(found, separators=(",", ":")).encode() + b"\n" + blob
    return b"ampd-headstart %d %08x\n%s" % (VERSION, zlib.crc32(body), body)


def unsealed(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The other way. Raises ValueError."""
    head, _, body = data.partition(b"\n")
    if head != b"ampd-headstart %d %08x" % (VERSION, zlib.crc32(body)):
        raise ValueError("no headstart, or a spoilt one")
    line, _, blob = body.partition(b"\n")
    found: dict[str, Any] = json.loads(line)
    return found, blob
