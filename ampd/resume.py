"""The start: what was kept plays on, or the generation before it, or the configured rig, or dry.

There is always a sound, and every step down is said in words with its file.  What was never vetted
on this machine is not waited for: what is known to be good plays first, and it follows.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from ampd.bank import Plan, plan_model
from ampd.codes import code
from ampd.command import SelectRig, SelectSet, SetGlobal
from ampd.errors import AmpdError, NotVettedError
from ampd.generations import Generations
from ampd.kept import Kept
from ampd.session import Session
from ampd.vetting import hasty

log = logging.getLogger(__name__)


async def first_sound(session: Session, files: Generations, start_rig: str) -> Kept | None:
    """Play on. Returns what plays then as it is kept, None where nothing worth it does."""
    unvetted: list[Kept] = []
    with hasty():
        kept = await _play_on(session, files, unvetted)
    if kept is None:
        with hasty() if unvetted else nullcontext():
            await _play_configured(session, start_rig)
    if not unvetted:
        return kept or session.kept()
    _follow(session, unvetted[0])
    return unvetted[0]


async def _play_configured(session: Session, start_rig: str) -> None:
    try:
        await session.execute(SelectRig(start_rig))
    except AmpdError as error:
        log.warning("%s The daemon plays dry instead.", error, extra=code("RIG-DRY"))
        await session.play_dry()


def _follow(session: Session, kept: Kept) -> None:
    """Have it vetted, and play it then.  Until it is clear what plays, nothing else is kept."""
    hold = ExitStack()
    hold.enter_context(session.moving())
    task = asyncio.create_task(_when_vetted(session, kept, session.state.wanted_rig, hold))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


_tasks: set[asyncio.Task[None]] = set()  # the loop alone would let go of them


async def _when_vetted(session: Session, kept: Kept, interim: str, hold: ExitStack) -> None:
    with hold:
        try:
            plan = await _planned(session, kept, [])
            await session.vet(plan if plan is not None else kept.rig)
            if session.state.wanted_rig == interim:  # else somebody wanted another one
                await resume(session, kept)
        except AmpdError as error:
            log.warning("%s What plays, plays on.", error, extra=code("STATE-READ"))


async def _play_on(session: Session, files: Generations, unvetted: list[Kept]) -> Kept | None:
    """What was kept, once it plays; None where none of it can. What was never vetted is put into
    `unvetted`."""
    steps = ((files.newest, "the generation before it"), (files.previous, "the configured rig"))
    for path, otherwise in steps:
        kept = None
        try:
            kept = await asyncio.to_thread(files.read, path)
            if kept is None:
                continue
            for text in await resume(session, kept):
                log.warning(
                    "%s: not all is as it was left: %s", path, text, extra=code("STATE-PART")
                )
        except NotVettedError as error:
            assert kept is not None
            unvetted.append(kept)
            log.warning("%s Meanwhile: %s.", error, otherwise, extra=code("STATE-UNVETTED"))
        except AmpdError as error:
            text = _with_file(error, path)
            log.warning("%s Trying %s.", text, otherwise, extra=code("STATE-READ"))
        except Exception:
            # Whatever lies there, it must not be the end of all sound.
            log.exception(
                "%s: the start stumbled over it; trying %s.",
                path,
                otherwise,
                extra=code("INTERNAL"),
            )
        else:
            log.info("%s: rig %s plays on as it was left", path, kept.rig)
            return session.kept() or kept
    return None


def _with_file(error: AmpdError, path: Path) -> str:
    text = str(error)
    return text if text.startswith(str(path)) else f"{path}: {text}"


async def resume(session: Session, kept: Kept) -> list[str]:
    """Play what was kept; returns a sentence for each part of it that is not there any more.
    Raises AmpdError where its rig cannot be played."""
    kept = kept.after_boot(session.boot)
    notes: list[str] = []
    session.report(kept.wiring)
    with session.moving():
        with _noting(notes):
            await session.execute(SelectSet(kept.set))
        for path, value in kept.globals.items():
            if session.state.globals.get(path) != value:
                with _noting(notes):
                    await session.execute(SetGlobal(path, value))
        plan = await _planned(session, kept, notes)
        await session.play_as_left(plan if plan is not None else kept.rig, kept.values)
    gone = [path for path in kept.values if path not in session.state.values]
    return notes + [f"{path}: rig {kept.rig} has no such knob any more." for path in gone]


async def _planned(session: Session, kept: Kept, notes: list[str]) -> Plan | None:
    """What plays outside the bank: one model, or a rig with files that were chosen; None where a
    rig plays as its file says."""
    if kept.model:
        return await asyncio.to_thread(plan_model, Path(kept.model))
    if not kept.files:
        return None
    try:
        return await session.plan_chosen(kept.rig, kept.files)
    except AmpdError as error:
        notes.append(str(error))
        return None


@contextmanager
def _noting(notes: list[str]) -> Iterator[None]:
    """Note what cannot be done and go on behind it."""
    try:
        yield
    except AmpdError as error:
        notes.append(str(error))
