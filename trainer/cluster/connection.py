"""Joining a Ray cluster, or starting one here."""

import logging
import os
import socket

import ray
from ray.exceptions import RayError

from trainer.errors import TrainingError

LOCAL = "local"
STORE_BYTES = 80 << 20  # Ray's least, nearly
ANSWER_S = 5.0  # for a cluster's port


def connect(address: str, jobs: int | None, shipped_bytes: int = 0) -> None:
    """Join the cluster at host:port or "auto", or start one here for "local".

    jobs: CPUs of a local one; None: as many as there are cores
    shipped_bytes: what processes of a local one are sent, in all
    raises: TrainingError where nothing answers
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == LOCAL:
            ray.init(
                address=LOCAL,
                num_cpus=jobs or len(os.sched_getaffinity(0)),
                include_dashboard=False,
                object_store_memory=STORE_BYTES + shipped_bytes,
                _node_ip_address="127.0.0.1",  # other machines have no business with it
                **quiet,
            )
        else:
            _require_answer(address)
            ray.init(address=address, **quiet)
    except (RayError, ConnectionError, ValueError, OSError) as error:
        raise TrainingError(
            f"--ray {address}: found no Ray cluster ({first_line(error)}), expected host:port of "
            "one, auto, or local to start one here"
        ) from error


def _require_answer(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), ANSWER_S).close()


def leave() -> None:
    """Let go of the cluster; one that was started here ends."""
    ray.shutdown()


def gpus() -> float:
    """Of the whole cluster."""
    return float(ray.cluster_resources().get("GPU", 0))


def first_line(error: object) -> str:
    """Of an error's text; Ray's run over many."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
