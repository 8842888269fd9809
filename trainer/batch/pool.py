"""This machine as an executor: one process a capture, so many at once."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from trainer.batch.captures import Capture
from trainer.batch.queue import Death, Message
from trainer.batch.work import Failure, Result, Update, attempt
from trainer.errors import ModelError
from trainer.files import prepare_folder

LOG = "batch.log"  # in paths.run: what the process of a capture printed
TELL_S = 0.25  # between two updates of one capture
# numpy's and torch's own pools; a net this small gains nothing from a second thread, and as many
# captures as cores run beside each other.
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ProcessPool:
    """Captures as child processes; they end by themselves where this process dies."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._context = multiprocessing.get_context("spawn")  # a forked torch may hang
        self._children: dict[int, tuple[SpawnProcess, Connection]] = {}
        self._ended: set[int] = set()  # those that have said their last word
        for name in THREAD_SETTINGS:
            os.environ.setdefault(name, "1")

    def slots(self) -> int:
        return self._jobs

    def start(self, number: int, capture: Capture) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_child, args=(capture, theirs), daemon=True)
        # Ctrl-C in a terminal reaches every process, this one alone decides what it means: a child
        # inherits the mask, from its first instruction on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # or the end of the child could not be heard
        self._children[number] = (process, ours)

    def poll(self, seconds: float) -> list[tuple[int, Message]]:
        numbers = {connection: number for number, (_, connection) in self._children.items()}
        if not numbers:
            return []
        heard: list[tuple[int, Message]] = []
        for connection in wait([*numbers], seconds):
            assert isinstance(connection, Connection)
            number = numbers[connection]
            try:
                while connection.poll():
                    message: Message = connection.recv()
                    heard.append((number, message))
                    if not isinstance(message, Update):
                        self._ended.add(number)
            except (EOFError, ConnectionResetError):
                heard += self._bury(number)
        return heard

    def stop(self) -> None:
        for _, connection in self._children.values():
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send("stop")

    def close(self) -> None:
        for process, _ in self._children.values():
            process.kill()
        for process, connection in self._children.values():
            process.join()
            connection.close()
        self._children.clear()

    def _bury(self, number: int) -> list[tuple[int, Message]]:
        process, connection = self._children.pop(number)
        process.join()
        connection.close()
        if number in self._ended:
            self._ended.discard(number)
            return []
        return [(number, _cause(process))]


def _cause(process: SpawnProcess) -> Message:
    code = process.exitcode or 0
    if code < 0:
        return Death(f"its process was ended by {signal.Signals(-code).name}")
    return Failure(f"its process ended with exit code {code}; what it said is in {LOG} of its run")


def _child(capture: Capture, connection: Connection) -> None:
    """The process of one capture."""
    try:
        prepare_folder(capture.run)
    except ModelError as error:
        _send(connection, Failure(str(error)))
        return
    _write_into(capture.run / LOG)
    told_s, told = 0.0, Update()

    def report(update: Update) -> None:
        nonlocal told_s, told
        if connection.poll():  # "stop", or the end of the parent
            raise KeyboardInterrupt
        news = update.notes or (update.esr_valid, update.esr_best) != (
            told.esr_valid,
            told.esr_best,
        )
        if news or time.monotonic() - told_s > TELL_S:
            told_s, told = time.monotonic(), update
            _send(connection, update)

    _send(connection, attempt(capture, report))


def _send(connection: Connection, message: Update | Result | Failure) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.send(message)


def _write_into(path: Path) -> None:
    """Whatever libraries print would tear the parent's table."""
    with path.open("w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
