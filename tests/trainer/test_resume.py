"""A run that is killed and resumed is the run that was never stopped."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainer.test_cli import BARE, folders
from trainer.checkpoint import load_checkpoint
from trainer.cli import main
from trainer.run_state import states

ROOT = Path(__file__).parents[2]
STEPS = 60
SETTINGS = [
    "--model.channels=3",
    "--model.dilations=[1, 2, 4]",
    "--training.segment_frames=256",
    f"--training.steps={STEPS}",
    "--training.validate_every_steps=12",
    "--training.checkpoint_every_steps=7",
    "--data.train=[0, 96000]",
    "--data.valid=[96000, 98000]",
    "--data.test=null",
]

# The real command, in a process that kills itself right after step KILL as the kernel would: no
# handler runs and nothing is flushed.
CHILD = """
import os, signal, sys
from trainer.train import Loop
from trainer.cli import main
last, take_step = int(sys.argv[1]), Loop.take_step
def step(self, factor):
    if self.step == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(self, factor)
Loop.take_step = step
sys.exit(main(sys.argv[2:]))
"""


def arguments(recordings: Path, run: Path) -> list[str]:
    return ["train", "realtime", *BARE, *SETTINGS, *folders(recordings, run)]


def losses(run: Path) -> str:
    return (run / "losses.csv").read_text()


def weights(run: Path) -> torch.Tensor:
    checkpoint = load_checkpoint(run / "best_model.pt")
    return torch.cat([tensor.flatten() for tensor in checkpoint.weights.values()])


def run_until_killed(step: int, options: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(step), *options]
    ended = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


@pytest.fixture(scope="module")
def whole(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    assert main(arguments(recordings, run)) == 0
    return run


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.long)])
def test_run_killed_again_and_again_has_the_same_losses_bit_for_bit(
    recordings: Path, whole: Path, tmp_path: Path, kills: int
) -> None:
    steps = sorted(random.Random(5).sample(range(8, STEPS), kills))
    for number, step in enumerate(steps):
        run_until_killed(step, [*arguments(recordings, tmp_path), *["--resume"][: number > 0]])
        assert states(tmp_path / "checkpoints")[-1].name == f"step-{step - step % 7:08d}.pt"
    assert main([*arguments(recordings, tmp_path), "--resume"]) == 0
    assert losses(tmp_path) == losses(whole)
    assert losses(whole).count("\n") == STEPS + 1
    assert torch.equal(weights(tmp_path), weights(whole))


def test_run_that_is_over_stays_as_it_is(recordings: Path, whole: Path) -> None:
    before, kept = losses(whole), weights(whole)
    assert main([*arguments(recordings, whole), "--resume"]) == 0
    assert losses(whole) == before
    assert torch.equal(weights(whole), kept)


def test_resume_with_other_settings_is_refused(
    recordings: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [*arguments(recordings, whole), "--resume", "--training.seed=9"]
    assert main(other) == 5
    assert "training.seed 0, expected 9" in capsys.readouterr().err


def test_resume_of_nothing_is_refused(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments(recordings, tmp_path), "--resume"]) == 4
    assert "expected the checkpoints of a run to resume" in capsys.readouterr().err


def test_damaged_state_is_refused_by_name(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000007.pt").write_bytes(b"PK cut off")
    assert main([*arguments(recordings, tmp_path), "--resume"]) == 4
    error = capsys.readouterr().err
    assert "step-00000007.pt" in error
