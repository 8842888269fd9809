"""Looks for files that change: rigs, sets, models, impulses, the player's MIDI map.

What changed is not asked: the session looks at what it has built and takes over what is new.
"""

import asyncio
import logging
from pathlib import Path

from watchfiles import Change, awatch

from ampd.config import Config
from ampd.session import Session

log = logging.getLogger(__name__)

STEP_MS = 50  # an editor writes a file in several steps: so long must it be quiet
DEBOUNCE_MS = 400  # but no longer is waited
RETRY_S = 5.0  # until a folder that is missing is looked for again


async def watch(session: Session, config: Config) -> None:
    """Tell the session of changes until cancelled."""
    rooms = (config.paths.rigs, config.paths.models, config.paths.cabs)
    await asyncio.gather(
        *(_follow(session, room) for room in rooms),
        _follow(session, config.midi.map.parent, only=config.midi.map.name),
    )


async def _follow(session: Session, folder: Path, only: str | None = None) -> None:
    """Look at the folder and those in it, or at the one file of it alone."""

    def ours(_: Change, path: str) -> bool:
        return only is None or Path(path).name == only

    missed = False
    while True:
        if not await asyncio.to_thread(folder.is_dir):
            missed = True
            await asyncio.sleep(RETRY_S)
            continue
        try:
            changes = awatch(
                folder,
                watch_filter=ours,
                recursive=only is None,
                step=STEP_MS,
                debounce=DEBOUNCE_MS,
            )
            if missed:  # what came with the folder
                await _tell(session)
            async for _ in changes:
                await _tell(session)
        except (OSError, RuntimeError) as error:
            log.warning("Edited files are not noticed for now: %s.", error)
        missed = True
        await asyncio.sleep(RETRY_S)


async def _tell(session: Session) -> None:
    try:
        await session.files_changed()
    except Exception:
        # A bug must cost one change, not all that come.
        log.exception("What changed on disk is not taken over.")
