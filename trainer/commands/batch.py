"""`ampd-train batch`."""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from trainer.batch.captures import SAID_BY_FOLDER, find_captures
from trainer.batch.pool import ProcessPool
from trainer.batch.queue import DONE, FAILED, RUNNING, STOPPED, WAITING, Executor, Queue, Row
from trainer.batch.screen import live_table, outcome_table
from trainer.batch.table import TABLE, plain, write_table
from trainer.commands.train import add_recipe_keys, given_overrides
from trainer.errors import DataError, RecipeError, TrainingError
from trainer.recipe import shipped_recipes

NAME = "batch"
HELP = "many takes -> a model each"
ABOUT = """\
Trains every take folder under DIR, several at once, each in a process of its own.

  DIR/input.wav                      the dry recording that takes without one of their own share
  DIR/plexi/target.wav               a take: what the gear made of it; the model is called plexi
  DIR/tweed/target.wav, input.wav, recipe.yaml    one with its own recording and recipe

What is written is what `train` writes: models/NAME, runs/NAME. DIR/batch.csv says how each stands,
while it runs too. Run the same command again after a stop: takes whose recordings and recipe have
a result are left alone, interrupted ones go on from their checkpoints, the others start. Ctrl-C
keeps the best weights of those that run; a second one ends them at once.

--ray host:port puts the takes on a Ray cluster (extra `cluster`), --ray local on one that is
started here. Every machine must see the same folders under the same paths; nothing is copied. A
take whose worker dies goes on from its newest checkpoint on another one."""

TABLE_S = 10.0  # between two tables of a batch in which nothing begins or ends


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, how many at once, and every key of a recipe that a folder does not say."""
    parser.usage = (
        "ampd-train batch DIR [--recipe R] [--jobs N] [--models FOLDER] [--minutes M] [--json] "
        "[--ray ADDRESS] [--gpus-per-capture SHARE] [--SECTION.KEY VALUE ...]"
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the take folders are")
    parser.add_argument(
        "--recipe",
        default="realtime",
        help="for takes without a recipe.yaml: a file, or one that is built in "
        f"({', '.join(shipped_recipes())}); default: realtime",
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="takes at once; default: as many as cores"
    )
    parser.add_argument(
        "--models", type=Path, metavar="FOLDER", help="write FOLDER/NAME instead of models/NAME"
    )
    parser.add_argument("--json", action="store_true", help="the table as one line of JSON")
    parser.add_argument(
        "--no-report", action="store_true", help="leave out the pages; ampd-train report makes one"
    )
    add_ray(parser, "capture", default=None)
    add_recipe_keys(parser, left_out=SAID_BY_FOLDER)


def add_ray(parser: argparse.ArgumentParser, what: str, default: str | None) -> None:
    """Which cluster, and how much of a GPU each `what` has."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        default=default,
        help="of a Ray cluster: host:port, auto, or local to start one here"
        + (f"; default: {default}" if default else ""),
    )
    parser.add_argument(
        f"--gpus-per-{what}",
        type=float,
        dest="gpu_share",
        metavar="SHARE",
        help=f"with --ray: 0.25 lets four share a GPU; default: each {what} on CPUs",
    )


def run(options: argparse.Namespace) -> int:
    """0 where every take has its model, 5 where one failed, 130 where it was stopped."""
    overrides = given_overrides(options)
    if options.models is not None:
        overrides["paths.models"] = str(options.models / "{model_name}")
    _check(options)
    with _alone(options.folder), contextlib.closing(_executor(options)) as executor:
        captures = find_captures(
            options.folder,
            options.recipe,
            overrides,
            doctor=not options.no_doctor,
            report=not options.no_report,
        )
        view = _View(options.folder / TABLE)
        queue = Queue(captures, executor, view.tell, view.note)
        view.run(queue, executor)
    _print_outcome(queue.rows, options.folder / TABLE, options.json)
    states = {row.state for row in queue.rows}
    if states & {STOPPED, WAITING, RUNNING}:
        return 130
    return TrainingError.exit_code if FAILED in states else 0


def _check(options: argparse.Namespace) -> None:
    if options.jobs is not None and options.jobs < 1:
        raise RecipeError(f"--jobs: found {options.jobs}, expected 1 or more")
    if options.gpu_share is not None and options.ray is None:
        raise RecipeError("--gpus-per-capture: found no --ray, expected the address of a cluster")


def _executor(options: argparse.Namespace) -> Executor:
    """This machine, or the cluster asked for."""
    if options.ray is None:
        return ProcessPool(options.jobs or len(os.sched_getaffinity(0)))
    share = join_cluster(options)
    from trainer.cluster.pool import RayPool  # noqa: PLC0415  join_cluster has made sure of it

    return RayPool(share, options.jobs)


def join_cluster(options: argparse.Namespace, shipped_bytes: int = 0) -> float:
    """Connect; returns the share of a GPU that each process has.

    raises: RecipeError without the extra, TrainingError where the cluster does not answer
    """
    share = options.gpu_share or 0.0
    if share < 0:
        raise RecipeError(f"--gpus-per-...: found {share:g}, expected a number above 0")
    try:
        from trainer.cluster import connection  # noqa: PLC0415  the extra is seldom installed
    except ImportError as error:
        raise RecipeError(
            f"--ray: found no package {error.name}, expected the extra cluster; "
            "install it with pip install 'ampd[train,cluster]'"
        ) from error
    connection.connect(options.ray, getattr(options, "jobs", None), shipped_bytes)
    if share and not connection.gpus():
        print("ampd-train: no GPU in this cluster, it trains on CPUs", file=sys.stderr)
        share = 0.0
    return share


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two batches of one folder would write into one another's runs."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder, expected one that holds take folders")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise DataError(
            f"{folder}: another batch works on it, expected none; wait for it or stop it"
        ) from error
    finally:
        os.close(descriptor)


class _View:
    """What a person sees while it runs: a live table, or lines where there is no terminal."""

    def __init__(self, table: Path) -> None:
        self._console = Console(stderr=True)
        self._table, self._written_s = table, 0.0
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._states: dict[int, str] = {}
        self._queue: Queue | None = None

    def run(self, queue: Queue, executor: Executor) -> None:
        """The whole batch, with Ctrl-C turned into a stop and, at the second, an end."""
        self._queue = queue
        write_table(self._table, queue.rows)
        for row in queue.rows:
            if row.state != WAITING:
                self._announce(row)
        presses = 0

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            nonlocal presses
            presses += 1
            queue.stop()
            if presses > 1:
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            with self._live:
                queue.run()
        except KeyboardInterrupt:
            if presses < 2:
                raise
        finally:
            signal.signal(signal.SIGINT, before)
            executor.close()
            write_table(self._table, queue.rows)

    def tell(self, row: Row) -> None:
        """A row has changed."""
        assert self._queue is not None
        begun_or_ended = self._states.get(id(row)) != row.state
        self._states[id(row)] = row.state
        if begun_or_ended:
            self._announce(row)
        if begun_or_ended or time.monotonic() - self._written_s > TABLE_S:
            write_table(self._table, self._queue.rows)
            self._written_s = time.monotonic()
        height = self._console.size.height
        self._live.update(live_table(self._queue.rows, self._queue.seconds_left(), height))

    def note(self, row: Row, text: str) -> None:
        """A sentence about a capture."""
        self._say(f"{row.capture.name}: {text}")

    def _announce(self, row: Row) -> None:
        if row.state == FAILED or (row.state == DONE and row.starts == 0):
            text = row.text or "finished before; nothing to do"
            self._say(f"{row.capture.name}: {row.state}: {text}")
        elif not self._console.is_terminal:
            esr = "" if row.result is None else f", VALID ESR {row.result.esr_valid}"
            self._say(f"{row.capture.name}: {row.state}{esr}")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _print_outcome(rows: list[Row], table: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps([plain(row) for row in rows]))
        return
    Console(file=sys.stdout).print(outcome_table(rows))
    for row in rows:
        if row.state == FAILED:
            print(f"{row.capture.name}: {row.text}")
    print(f"wrote {table}")
