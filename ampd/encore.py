"""Writes what the next start may play at once (headstart.py): the chain that plays, as plain
values, with a mark of everything that it was made of.

Written behind each save of the state, of which it holds the stamp, so it is never newer or older
than what was kept.  Whatever goes wrong here costs the next start its haste and nothing else.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ampd import __version__
from ampd.config import Config
from ampd.generations import Generations
from ampd.headstart import MAX_BYTES, sealed, settings_mark, stamp_of
from ampd.kept import MOMENTS
from ampd.rack import GLOBALS, read_impulse_rows
from ampd.session import Session
from ampd.state import State

log = logging.getLogger(__name__)


class Encore:
    """note(): the event loop's thread; what it returns: the keeper's."""

    def __init__(self, session: Session, config: Config, files: Generations) -> None:
        self._session = session
        self._config = config
        self._links: dict[str, list[list[str]]] = {}  # by own port
        self._state = files.newest
        self._path = files.newest.with_suffix(".headstart")

    def note(self) -> Callable[[], None]:
        """Look at what plays now; returns what writes it."""
        found = self._found()
        return lambda: self._write(found)

    def _found(self) -> dict[str, Any] | None:
        slot, built = self._session.playing
        state, config = self._session.state, self._config
        if built is None or not built.rows:
            return None
        jack = config.jack
        marks = [param.path for param in GLOBALS]
        return {
            "version": __version__,
            "settings": settings_mark(str(config.source or "")),
            "stamps": [list(each) for each in built.plan.stamp],
            "moments": any(state.globals.get(path) for path in MOMENTS),
            "boot": self._session.boot,
            "listens": [config.osc.host, config.osc.port],
            "jack": [jack.client_name, jack.server_name, self._known_links(state)],
            "wiring": [state.wiring.made, state.wiring.apart],
            "slot": slot,
            "rows": built.rows,
            "turned": [list(each) for each in built.turned(state.values)],
            "globals": [[marks.index(path), float(on)] for path, on in state.globals.items()],
        }

    def _known_links(self, state: State) -> list[list[str]]:
        """The links of now; those of a port that has none as they were: their other end is away."""
        client = state.jack.client
        now: dict[str, list[list[str]]] = {}
        for source, other in state.jack.links:
            own = source if source.startswith(f"{client}:") else other
            now.setdefault(own, []).append([source, other])
        self._links |= now
        apart = [
            [f"{client}{end}" if end.startswith(":") else end for end in pair]
            for pair in state.wiring.apart
        ]
        return [each for links in self._links.values() for each in links if each not in apart]

    def _write(self, found: dict[str, Any] | None) -> None:
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            if found is None:
                self._path.unlink(missing_ok=True)
                return
            impulses, blob = read_impulse_rows(found["rows"])
            stamps = [stamp_of(str(self._state)), *found["stamps"]]
            data = sealed(found | {"stamps": stamps, "impulses": impulses}, blob)
            if len(data) > MAX_BYTES:
                return
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.touch(mode=0o600)
            new.write_bytes(data)
            new.replace(self._path)
        except Exception:
            log.debug("the next start goes the long way", exc_info=True)
            with suppress(OSError):
                Path(new).unlink()
