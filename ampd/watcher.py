"""Looks for files that change: rigs, sets, models, impulses, the player's MIDI map.

What changed is not asked: the session looks at what it has built and takes over what is new.
"""

import asyncio
import logging
from pathlib import Path

from ampd.codes import code
from ampd.config import Config
from ampd.driver import in_thread
from ampd.session import Session
from ampd.tree import Tree

log = logging.getLogger(__name__)

STEP_MS = 50  # an editor writes a file in several steps: so long must it be quiet
DEBOUNCE_MS = 400  # but no longer is waited
RETRY_S = 5.0  # until a folder that is missing is looked for again


async def watch(session: Session, config: Config) -> None:
    """Tell the session of changes until cancelled."""
    await asyncio.gather(
        _follow(session, config.paths.rigs),
        _follow(session, config.paths.cabs),
        _follow(session, config.paths.models),
        _follow(session, config.midi.map.parent, config.midi.map.name),
    )


async def _follow(session: Session, folder: Path, only: str = "") -> None:
    """Look at the folder and those in it, or at the one file of it alone, whenever it is there."""
    missed, said = False, ""
    while True:
        try:
            await _watch(session, Tree(folder, only), missed)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            if str(error) != said:
                said = str(error)
                log.warning(
                    "Edited files are not noticed: %s; trying again every %g s.",
                    said,
                    RETRY_S,
                    extra=code("WATCH"),
                )
        missed = True
        await asyncio.sleep(RETRY_S)


async def _watch(session: Session, tree: Tree, missed: bool) -> None:
    """Until the folder is gone. Raises OSError."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    try:
        await in_thread(tree.add)
        loop.add_reader(tree.fd, arrived.set)
        if missed:  # what came with the folder
            await _tell(session)
        while True:
            await arrived.wait()
            changed = again = False
            until_s = loop.time() + DEBOUNCE_MS / 1000
            while arrived.is_set() and loop.time() < until_s:
                arrived.clear()
                more, new_folder = tree.news()
                changed, again = changed or more, again or new_folder
                await asyncio.sleep(STEP_MS / 1000)
            if again:
                await in_thread(tree.add)
            if changed:
                await _tell(session)
    finally:
        loop.remove_reader(tree.fd)
        tree.close()


async def _tell(session: Session) -> None:
    try:
        await session.files_changed()
    except Exception:
        # A bug must cost one change, not all that come.
        log.exception("What changed on disk is not taken over.", extra=code("INTERNAL"))
