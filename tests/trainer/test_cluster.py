"""Captures on a Ray cluster of two workers on this machine; a killed worker costs nothing."""

import contextlib
import csv
import json
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.takes import (
    SETTINGS,
    STEPS,
    at,
    batch,
    killed_after_a_checkpoint,
    losses,
    make_takes,
    rows_of,
    sessions,
    wait_for,
)
from trainer.checkpoint import load_checkpoint
from trainer.cli import main

pytest.importorskip("ray", reason="ray is absent; it comes with the extra cluster")

import ray  # after the check for it
from ray.cluster_utils import Cluster

from trainer.cluster.pool import slots_of
from trainer.recipe import load_recipe

# A loopback address that Ray does not take for "localhost", which it would replace by this
# machine's address in the network.
LOOPBACK = "127.0.0.2"
NODE = {"node_ip_address": LOOPBACK, "object_store_memory": 80 << 20}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """host:port of a cluster with a head that takes no work, and two workers of one CPU each."""
    # Ray's sockets lie in there, and a socket's path has 107 bytes: pytest's folders are too deep.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_TOKEN_PATH", f"{folder}/token")
        patch.setenv("RAY_worker_niceness", "0")  # Ray gives way to everything by default
        cluster = Cluster(True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False})
        try:
            for _ in range(2):
                cluster.add_node(**NODE, num_cpus=1)
            yield cluster.address
        finally:
            ray.shutdown()  # of a test that failed; a driver keeps its node
            cluster.shutdown()
            end_all(folder)


def end_all(folder: str) -> None:
    """Wait until no process of that cluster is left; they are known by their environment."""

    def left() -> dict[int, str]:
        found = {}
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if process.name.isdigit() and int(process.name) != os.getpid():
                    environment = (process / "environ").read_bytes()
                    if f"RAY_TMPDIR={folder}\0".encode() in environment:
                        found[int(process.name)] = (process / "cmdline").read_text()
        return found

    try:
        wait_for("the end of the cluster", lambda: not left(), 120)
    finally:
        for number, command in left().items():
            print("still there:", command)
            os.kill(number, signal.SIGKILL)


@pytest.mark.long
def test_killed_worker_goes_on_from_its_checkpoint(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], alone: dict[str, str]
) -> None:
    takes = make_takes(tmp_path / "takes", ["soft", "hard", "mute"])
    (takes / "mute" / "target.wav").write_bytes(b"no recording")
    with killed_after_a_checkpoint(tmp_path / "runs" / "hard") as killed:
        assert batch(takes, tmp_path, f"--ray={address}", "--gpus-per-capture=0.25") == 5
    assert len(killed) == 1
    rows = rows_of(takes)
    assert [rows[name]["state"] for name in ("soft", "hard", "mute")] == ["done", "done", "failed"]
    assert "started 2 times: its worker died" in rows["hard"]["text"]
    assert "mute/target.wav: cannot be read" in rows["mute"]["text"]
    assert {name: losses(tmp_path / "runs" / name) for name in alone} == alone
    assert sessions(tmp_path / "runs" / "hard") == 2
    assert "no GPU in this cluster" in capsys.readouterr().err


@pytest.mark.long
def test_ctrl_c_keeps_the_best_of_the_workers(address: str, tmp_path: Path) -> None:
    takes = make_takes(tmp_path / "takes", ["soft"])
    run = tmp_path / "runs" / "soft"

    def press() -> None:
        wait_for("a checkpoint", lambda: any(run.glob("checkpoints/step-*.pt")))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    # So many steps that the end cannot come first.
    code = batch(takes, tmp_path, f"--ray={address}", "--training.steps=1000000")
    thread.join()
    assert code == 130
    assert rows_of(takes)["soft"]["state"] == "stopped"
    assert 40 <= load_checkpoint(run / "best_model.pt").step < 1000000
    assert (tmp_path / "models" / "soft" / "soft.json").is_file()


def sweep(takes: Path, out: Path, *more: str) -> int:
    files = [f"--paths.data={takes}", "--data.input=input.wav", "--data.target=soft/target.wav"]
    tries = ["--try", "training.muon_learning_rate=0.000001,0.02,0.0001"]
    words = ["sweep", "realtime", "--no-doctor", f"--out={out}", *SETTINGS, *files, *tries]
    return main([*words, "--training.adam_learning_rate=0.00001", *more])


@pytest.mark.long
def test_sweep_finds_the_setting_that_learns_and_goes_on_after_a_stop(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    takes, out = make_takes(tmp_path / "takes", ["soft"]), tmp_path / "sweep"
    with killed_after_a_checkpoint(out / "trial-1") as killed:
        assert sweep(takes, out, f"--ray={address}", "--json") == 0
    assert len(killed) == 1
    trials = json.loads(capsys.readouterr().out)
    best = trials[0]
    assert (best["trial"], best["state"], best["percent"]) == (1, "done", 100)
    assert best["training.muon_learning_rate"] == "0.02"
    assert best["esr_valid"] < 0.9 * min(trial["esr_valid"] for trial in trials[1:])
    with (out / "trials.csv").open() as file:
        assert next(csv.DictReader(file))["trial"] == "1"
    # Every step of the best trial is there once, and the kill did not make it begin anew.
    assert losses(out / "trial-1").count("\n") == STEPS + 1
    assert sessions(out / "trial-1") == 2
    recipe = load_recipe(str(out / "best.yaml"))
    assert recipe.training.muon_learning_rate == 0.02
    assert recipe.paths.data == str(takes)
    before = losses(out / "trial-1")
    assert sweep(takes, out, f"--ray={address}", "--json") == 0
    assert json.loads(capsys.readouterr().out) == trials
    assert losses(out / "trial-1") == before


def test_cluster_that_does_not_answer_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    takes = make_takes(tmp_path / "takes", ["soft"])
    assert main(["batch", str(takes), *SETTINGS, *at(tmp_path), "--ray=127.0.0.1:1"]) == 5
    assert "--ray 127.0.0.1:1: found no Ray cluster" in capsys.readouterr().err
    assert main(["batch", str(takes), *at(tmp_path), "--gpus-per-capture=0.5"]) == 2
    assert "--gpus-per-capture: found no --ray" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 8), (0.25, 8), (0.3, 6), (0.5, 4), (1.0, 2), (2.0, 1)]
)
def test_small_nets_share_a_gpu(share: float, expected: int) -> None:
    assert slots_of({"CPU": 8.0, "GPU": 2.0}, share) == expected
