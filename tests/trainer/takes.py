"""Take folders made by code, and runs that are ended from outside."""

import contextlib
import csv
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.trainer.conftest import RATE_HZ, gear, write_wav
from trainer.cli import main
from trainer.signals import riff

STEPS = 400
SETTINGS = [
    "--model.channels=2",
    "--model.dilations=[1, 2, 4]",
    "--training.segment_frames=256",
    f"--training.steps={STEPS}",
    "--training.validate_every_steps=40",
    "--training.checkpoint_every_steps=40",
    "--data.train=[0, 48000]",
    "--data.valid=[48000, 50000]",
    "--data.test=[50000, 52000]",
]


def make_takes(folder: Path, names: list[str], seconds: float = 2.0) -> Path:
    """folder/input.wav, and folder/NAME/target.wav of a gear that `hard` drives harder."""
    dry = riff(seconds, RATE_HZ)
    folder.mkdir(exist_ok=True)
    write_wav(folder / "input.wav", dry)
    for name in names:
        (folder / name).mkdir()
        write_wav(folder / name / "target.wav", gear(dry * (1.5 if name == "hard" else 1)))
    return folder


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    """batch.csv of a folder of takes, by name."""
    with (folder / "batch.csv").open() as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def at(place: Path) -> list[str]:
    return [f"--paths.run={place}/runs/{{model_name}}", f"--models={place / 'models'}"]


def batch(takes: Path, place: Path, *more: str) -> int:
    """The command, with runs and models in `place`."""
    return main(["batch", str(takes), *SETTINGS, *at(place), "--no-doctor", "--no-report", *more])


def train_alone(takes: Path, name: str, place: Path) -> str:
    """What `ampd-train train` makes of the same take: the losses, step by step."""
    files = [f"--data.input={takes / 'input.wav'}", f"--data.target={takes / name / 'target.wav'}"]
    folders = [f"--paths.run={place}", f"--paths.models={place}"]
    words = ["train", "realtime", "--no-doctor", "--no-report", f"--model.name={name}"]
    assert main([*words, *SETTINGS, *files, *folders]) == 0
    return losses(place)


def losses(run: Path) -> str:
    return (run / "losses.csv").read_text()


def sessions(run: Path) -> int:
    """How many processes took part in a run: one that begins anew removes what was there."""
    return len([*run.glob("events.out.tfevents.*")])


def wait_for(what: str, ready: Callable[[], bool], limit_s: float = 240.0) -> None:
    """Until ready() is true; a test that waits longer than limit_s has failed."""
    pause = threading.Event()
    rounds = round(limit_s / 0.01)
    for _ in range(rounds):
        if ready():
            return
        pause.wait(0.01)
    raise AssertionError(f"{what} did not happen within {limit_s:g} s")


def holder(path: Path) -> int:
    """The process that has the file open; 0 where none has."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if any(f.readlink() == path for f in (process / "fd").iterdir()):
                    return int(process.name)
    return 0


@contextlib.contextmanager
def killed_after_a_checkpoint(run: Path) -> Iterator[list[int]]:
    """While inside: the process that trains in `run` is killed once it has left a checkpoint.

    yields: the ids of the processes killed
    """
    killed: list[int] = []
    left = threading.Event()

    def kill() -> None:
        wait_for("a checkpoint", lambda: left.is_set() or any(run.glob("checkpoints/step-*.pt")))
        process = holder(run / "losses.csv")
        if process > 0:
            os.kill(process, signal.SIGKILL)
            killed.append(process)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        left.set()
        thread.join()
