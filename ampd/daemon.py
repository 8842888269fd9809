"""Builds every object of the daemon, starts them, and stops them in reverse.

Who runs where:

    main thread    the asyncio loop: OSC, HTTP, Session (State, commands, facts), signals, and
                   files that change
    "worker_N"     workers of asyncio.to_thread: rig files, building of chains, the tuner's look at
                   the guitar; one engine call at a time (Driver's lock), GIL released in it
    "finder"       only where the index cannot be written: reads the library, at the lowest
                   priority; otherwise a process of its own does (scan.py)
    "keeper"       writes what plays to disk, for the next start
    "jack"         Supervisor: the JackHost and every libjack call
    warm           the engine's own: feeds a new chain what was played last; no Python
    audio          libjack's own: Engine::process; no Python
"""

import asyncio
import errno
import gc
import logging
import math
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampd.codes import code
from ampd.command import SelectRig
from ampd.config import Config
from ampd.control.gate import Gate
from ampd.control.server import ALL_ADDRESSES, ControlServer
from ampd.encore import Encore
from ampd.finder import Finder
from ampd.generations import Generations
from ampd.headstart import Headstart
from ampd.keeper import Keeper
from ampd.kept import Kept
from ampd.library import Library
from ampd.notify import Herald, is_supervised, notify
from ampd.pairing import Pairing, token_path
from ampd.passports import Store
from ampd.rehearsal import Levels
from ampd.resume import first_sound
from ampd.session import Session
from ampd.state import WiringState
from ampd.stock import Settings
from ampd.supervisor import Supervisor
from ampd.vetting import Vetting
from ampd.watcher import watch

if TYPE_CHECKING:
    from ampd.control.announce import Announcer

log = logging.getLogger(__name__)

WORKERS = 6
COMPLAINT_S = 10.0  # between two that say the same


@dataclass(frozen=True)
class Start:
    """What to play first. Both empty: what was kept of the last run, or the configured rig."""

    rig: str = ""
    model: Path | None = None


async def run(config: Config, start: Start, headstart: Headstart | None = None) -> bool:
    """Run until SIGTERM or SIGINT. Raises AmpdError when it cannot start as asked.

    headstart: what plays already, or may soon.

    Returns False when libjack hangs and its thread had to be left behind: the process must then
    end without running the destructors that would wait for it.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.set_exception_handler(Complaints())
    await _start_workers(loop)
    session, finder = _session(config)
    control = ControlServer(session, _gate(config))
    files = Generations(config.paths.state, config.jack.client_name)
    keeper = Keeper(session, files, Encore(session, config, files).note)
    give_up = stopping.set if is_supervised() else None
    supervisor = Supervisor(session, config.jack, headstart, give_up)
    clean = True
    announcer: Announcer | None = None
    plays = headstart is not None and headstart.plays
    try:
        await session.start(headstart=headstart if plays else None)
        if headstart is not None and plays:
            session.report(WiringState(*headstart.wiring))
            supervisor.start()
        await control.open(_listens(config), config.osc.port)
        announcer = await _announced(config, control)
        keeper.start(await _first_sound(session, config, start, files))
        if not plays:
            supervisor.start()
        session.fill_bank()
        begun = (
            Herald(session).run(),
            watch(session, config),
            _look_through(session, finder, keeper),
        )
        tasks = [asyncio.create_task(each) for each in begun]
        await _serve(session, control, config, stopping)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        clean = await supervisor.stop()
        if announcer is not None:
            await announcer.close()
        await control.close()
        await finder.stop()
        await keeper.stop()
        await session.stop()
    return clean


class Complaints:
    """What the loop has to say of itself. Where there are no descriptors left it would say so a
    hundred times a second."""

    def __init__(self) -> None:
        self._said_s = -math.inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            log.error(context["message"], exc_info=error, extra=code("INTERNAL"))
        elif loop.time() - self._said_s >= COMPLAINT_S:
            self._said_s = loop.time()
            log.warning("No connection can be taken: %s.", error.strerror, extra=code("FILES-FULL"))


async def _start_workers(loop: asyncio.AbstractEventLoop) -> None:
    """All threads of asyncio.to_thread at once, and none for each child: one that is started later
    may find no memory, and Python then waits for it for ever."""
    if sys.version_info < (3, 12):
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(loop)
        asyncio.set_child_watcher(watcher)
    workers = ThreadPoolExecutor(WORKERS, "worker")
    loop.set_default_executor(workers)
    together = threading.Barrier(WORKERS)
    await asyncio.gather(*(loop.run_in_executor(None, together.wait) for _ in range(WORKERS)))


def _listens(config: Config) -> str:
    return ALL_ADDRESSES if config.control.lan else config.osc.host


async def _announced(config: Config, control: ControlServer) -> "Announcer | None":
    """The network is told, where it may command."""
    if not config.control.lan:
        return None
    from ampd.control.announce import Announcer  # noqa: PLC0415 (memory that few need)

    announcer = Announcer()
    await announcer.open(control.port)
    return announcer


def _session(config: Config) -> tuple[Session, Finder]:
    paths = config.paths
    store = Store(paths.cache)
    levels = Levels(config.output_level, config.input_dbu, store)
    library = Library(paths.rigs, paths.models, paths.cabs)
    finder = Finder(library, paths.cache)
    vetting = Vetting(store, (library.models_path, library.cabs_folder))
    settings = Settings(config.memory_mb, config.midi, levels, vetting)
    return Session(library, settings, finder=finder), finder


def _gate(config: Config) -> Gate:
    """Who may come in. The first start on a network makes the pairing token."""
    if not config.control.lan:
        return Gate()
    path = token_path(config.paths.state, config.jack.client_name)
    return Gate(config.control.networks, Pairing(path))


async def _look_through(session: Session, finder: Finder, keeper: Keeper) -> None:
    """The library is looked through once everything that plays is ready."""
    await session.bank_filled()
    keeper.note_again()
    # What is there now stays. Python's collector would go through all of it again and again, and
    # each time no command is heard for 30 ms.
    gc.freeze()
    finder.refresh()


async def _serve(
    session: Session, control: ControlServer, config: Config, stopping: asyncio.Event
) -> None:
    rig = session.state.wanted_rig
    log.info("ampd listens at %s:%d and plays rig %s", _listens(config), control.port, rig)
    await stopping.wait()
    log.info("stopping")
    notify("STOPPING=1")


async def _first_sound(
    session: Session, config: Config, start: Start, files: Generations
) -> Kept | None:
    """An asked-for sound must play or the start fails, and it is kept at once (None); everything
    else gives way to what can be played."""
    if start.model is not None:
        await session.play_model(start.model)
    elif start.rig:
        await session.execute(SelectRig(start.rig))
    else:
        return await first_sound(session, files, config.start_rig)
    return None
