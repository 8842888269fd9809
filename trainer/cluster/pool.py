"""A Ray cluster as an executor of captures."""

import contextlib
import dataclasses
import threading
import time
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from trainer.batch.captures import Capture
from trainer.batch.queue import Death, Message
from trainer.batch.work import Failure, Result, Update, attempt
from trainer.cluster.connection import first_line, leave

ANSWER_S = 5.0  # for the last words of a worker


class Worker:
    """The process of one capture, on whichever machine Ray found room for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._update = Update()
        self._notes: tuple[str, ...] = ()
        self._stopped = False

    def work(self, capture: Capture) -> Result | Failure:
        return attempt(capture, self._hear)

    def progress(self) -> Update:
        """The newest update, with every note since the last call."""
        with self._lock:
            notes, self._notes = self._notes, ()
            return dataclasses.replace(self._update, notes=notes)

    def stop(self) -> None:
        self._stopped = True

    def _hear(self, update: Update) -> None:
        if self._stopped:
            raise KeyboardInterrupt
        with self._lock:
            self._update = update
            self._notes += update.notes


@dataclasses.dataclass
class _Job:
    """A capture that was handed to Ray."""

    worker: Any  # actor handle
    work: Any  # reference to the Result or Failure
    progress: Any  # reference to the Update that was asked for last


class RayPool:
    """A Ray cluster as an executor: an actor a capture, one thread each.

    gpus_per_capture: 0.25 lets four captures share a GPU; 0: CPUs only
    jobs: captures at once at most; None: as many as there is room for
    """

    def __init__(self, gpus_per_capture: float = 0.0, jobs: int | None = None) -> None:
        self._gpus_per_capture, self._jobs = gpus_per_capture, jobs
        self._running: dict[int, _Job] = {}

    def slots(self) -> int:
        room = slots_of(ray.cluster_resources(), self._gpus_per_capture)
        return room if self._jobs is None else min(room, self._jobs)

    def start(self, number: int, capture: Capture) -> None:
        # A second thread, because progress is asked for while the first one works.
        worker = (
            ray.remote(Worker)
            .options(
                num_cpus=capture.recipe.training.threads,
                num_gpus=self._gpus_per_capture,
                max_concurrency=2,
            )
            .remote()
        )
        self._running[number] = _Job(worker, worker.work.remote(capture), worker.progress.remote())

    def poll(self, seconds: float) -> list[tuple[int, Message]]:
        if not self._running:
            time.sleep(seconds)  # no machine has room; one may come
            return []
        ray.wait([job.work for job in self._running.values()], timeout=seconds)
        return [(number, m) for number in [*self._running] for m in self._ask(number)]

    def stop(self) -> None:
        for job in self._running.values():
            job.worker.stop.remote()

    def close(self) -> None:
        for job in self._running.values():
            ray.kill(job.worker)
        self._running.clear()
        leave()

    def _ask(self, number: int) -> list[Message]:
        job = self._running[number]
        heard: list[Message] = []
        ended = bool(ray.wait([job.work], timeout=0)[0])
        # What it said last is worth a moment; a worker that has died says nothing.
        with contextlib.suppress(RayError):
            if ray.wait([job.progress], timeout=ANSWER_S if ended else 0)[0]:
                heard.append(ray.get(job.progress))
                job.progress = job.worker.progress.remote()
                if ended:
                    heard.append(ray.get(job.progress, timeout=ANSWER_S))
        if ended:
            heard.append(_outcome(job.work))
            del self._running[number]
            ray.kill(job.worker)
        return heard


def _outcome(work: Any) -> Message:
    try:
        outcome: Result | Failure = ray.get(work)
    except RayTaskError as error:
        return Failure(f"an error of its own: {first_line(error.cause)}")
    except RayError as error:
        return Death(f"its worker died: {first_line(error)}")
    return outcome


def slots_of(resources: dict[str, float], gpus_per_capture: float) -> int:
    """How many captures of one thread, and a share of a GPU, a cluster takes at once."""
    room = int(resources.get("CPU", 0))
    if gpus_per_capture > 0:
        # A share cannot be made of two halves on two GPUs.
        each = int(1 / gpus_per_capture) if gpus_per_capture <= 1 else 1 / gpus_per_capture
        room = min(room, int(resources.get("GPU", 0) * each))
    return room
