"""Looks for files that change: rigs, sets, models, impulses, the player's MIDI map.

What changed is not asked: the session looks at what it has built and takes over what is new.
"""

import asyncio
import logging
from pathlib import Path

from watchfiles import Change, awatch

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
        _follow_tree(session, config.paths.models),
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
            log.warning("Edited files are not noticed for now: %s.", error, extra=code("WATCH"))
        missed = True
        await asyncio.sleep(RETRY_S)


async def _follow_tree(session: Session, folder: Path) -> None:
    """Look at a folder of very many folders, and at all of them."""
    missed = False
    while True:
        try:
            await _watch_tree(session, folder, missed)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("Edited models are not noticed for now: %s.", error, extra=code("WATCH"))
        missed = True
        await asyncio.sleep(RETRY_S)


async def _watch_tree(session: Session, folder: Path, missed: bool) -> None:
    """Until the folder is gone. Raises OSError."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    tree = Tree(folder)
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
