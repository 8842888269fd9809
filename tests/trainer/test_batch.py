"""Many takes: each gets its model or its sentence, and a stop costs nothing."""

import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.takes import (
    SETTINGS,
    STEPS,
    at,
    batch,
    holder,
    killed_after_a_checkpoint,
    losses,
    make_takes,
    rows_of,
    sessions,
    wait_for,
)
from trainer.batch.captures import Capture, find_captures
from trainer.batch.queue import STARTS, Death, Message, Queue
from trainer.batch.table import plain
from trainer.batch.work import Failure, attempt
from trainer.checkpoint import load_checkpoint
from trainer.cli import main

ROOT = Path(__file__).parents[2]


def test_bad_take_gets_its_sentence_and_the_good_one_its_model(tmp_path: Path) -> None:
    takes = make_takes(tmp_path / "takes", ["soft", "mute"])
    (takes / "mute" / "target.wav").write_bytes(b"no recording")
    assert batch(takes, tmp_path) == 5
    rows = rows_of(takes)
    assert {name: row["state"] for name, row in rows.items()} == {"mute": "failed", "soft": "done"}
    assert "mute/target.wav: cannot be read" in rows["mute"]["text"]
    assert json.loads(Path(rows["soft"]["model"]).read_text())


@pytest.mark.long
def test_each_take_gets_a_model_or_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    takes = make_takes(tmp_path / "takes", ["soft", "own", "mute", "my amp"])
    (takes / "own" / "recipe.yaml").write_text("model: {kernel_size: 4}\n")
    (takes / "mute" / "target.wav").write_bytes(b"no recording")
    words = ["batch", str(takes), *SETTINGS, *at(tmp_path), "--jobs=2", "--json"]
    assert main(words) == 5
    rows = rows_of(takes)
    assert {name: row["state"] for name, row in rows.items()} == {
        "mute": "failed",
        "my amp": "failed",
        "own": "done",
        "soft": "done",
    }
    assert "mute/target.wav: cannot be read" in rows["mute"]["text"]
    assert "model.name: found 'my amp'" in rows["my amp"]["text"]
    for name in ("soft", "own"):
        row, run = rows[name], tmp_path / "runs" / name
        best = load_checkpoint(run / "best_model.pt")
        assert float(row["esr_valid"]) == best.esr_valid
        assert float(row["esr_test"]) == best.esr_test
        assert int(row["steps"]) == STEPS
        assert int(row["findings"]) >= 1  # two seconds are short, which the doctor says
        assert row["model"] == str(tmp_path / "models" / name / f"{name}.json")
        assert json.loads(Path(row["model"]).read_text())
        assert row["report"] == str(run / "report" / "index.html")
        assert "doctor" in Path(row["report"]).read_text()
        assert best.doctor is not None
        assert best.recipe.model.kernel_size == (4 if name == "own" else 3)
    captured = capsys.readouterr()
    told = {row["name"]: row for row in json.loads(captured.out)}
    assert told["soft"]["esr_test"] == float(rows["soft"]["esr_test"])
    assert "soft: doctor: warn   short" in captured.err


@pytest.mark.long
def test_finished_takes_are_told_by_their_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], alone: dict[str, str]
) -> None:
    takes = make_takes(tmp_path / "takes", ["soft", "hard"])
    assert batch(takes, tmp_path) == 0
    assert {name: losses(tmp_path / "runs" / name) for name in alone} == alone
    soft, hard = (tmp_path / "runs" / name / "best_model.pt" for name in ("soft", "hard"))
    before = {path: path.stat().st_mtime_ns for path in (soft, hard)}
    capsys.readouterr()
    assert batch(takes, tmp_path) == 0
    assert capsys.readouterr().err.count("finished before; nothing to do") == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # Another recording under the same name is another capture.
    (takes / "hard" / "target.wav").write_bytes((takes / "soft" / "target.wav").read_bytes())
    (tmp_path / "models" / "soft" / "soft.json").unlink()
    assert batch(takes, tmp_path) == 0
    assert losses(tmp_path / "runs" / "hard") == alone["soft"]
    # A model that was lost is written again, from weights that were not.
    assert (tmp_path / "models" / "soft" / "soft.json").is_file()
    assert losses(tmp_path / "runs" / "soft") == alone["soft"]


@pytest.mark.long
def test_killed_process_goes_on_from_its_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], alone: dict[str, str]
) -> None:
    takes = make_takes(tmp_path / "takes", ["soft"])
    with killed_after_a_checkpoint(tmp_path / "runs" / "soft") as killed:
        assert batch(takes, tmp_path) == 0
    assert len(killed) == 1
    assert "soft: its process was ended by SIGKILL" in capsys.readouterr().err
    assert "started 2 times" in rows_of(takes)["soft"]["text"]
    assert losses(tmp_path / "runs" / "soft") == alone["soft"]
    assert sessions(tmp_path / "runs" / "soft") == 2


def start_and_wait_for_a_checkpoint(takes: Path, place: Path, run: Path) -> subprocess.Popen[bytes]:
    words = [*SETTINGS, *at(place), "--no-doctor", "--no-report", "--jobs=1"]
    command = [sys.executable, "-m", "trainer.cli", "batch", str(takes), *words]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)
    wait_for("a checkpoint", lambda: any(run.glob("checkpoints/step-*.pt")))
    return process


@pytest.mark.long
def test_ctrl_c_keeps_the_best_and_the_next_batch_goes_on(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    takes = make_takes(tmp_path / "takes", ["soft", "hard"])
    run = tmp_path / "runs" / "hard"  # the first of two, which are done one after the other
    with start_and_wait_for_a_checkpoint(takes, tmp_path, run) as process:
        assert rows_of(takes)["hard"]["state"] == "running"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 130, errors.decode()
    states = {name: row["state"] for name, row in rows_of(takes).items()}
    assert states == {"hard": "stopped", "soft": "waiting"}
    assert load_checkpoint(run / "best_model.pt").step >= 40
    assert (tmp_path / "models" / "hard" / "hard.nam").is_file()
    assert losses(run) != alone["hard"]
    assert batch(takes, tmp_path) == 0
    assert {name: losses(tmp_path / "runs" / name) for name in alone} == alone
    assert sessions(run) == 2


@pytest.mark.long
def test_batch_that_is_killed_leaves_nothing_behind_and_goes_on(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    takes = make_takes(tmp_path / "takes", ["soft"])
    run = tmp_path / "runs" / "soft"
    with start_and_wait_for_a_checkpoint(takes, tmp_path, run) as process:
        child = holder(run / "losses.csv")
        process.kill()
    wait_for("the end of the child", lambda: not child or not Path(f"/proc/{child}").exists())
    assert losses(run) != alone["soft"]
    assert batch(takes, tmp_path) == 0
    assert losses(run) == alone["soft"]
    assert sessions(run) == 2


def test_second_batch_of_a_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    takes = make_takes(tmp_path / "takes", ["soft"])
    descriptor = os.open(takes, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert batch(takes, tmp_path) == 3
    finally:
        os.close(descriptor)
    assert "another batch works on it" in capsys.readouterr().err


def test_folder_without_takes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["batch", str(tmp_path)]) == 3
    assert "expected one folder a take" in capsys.readouterr().err
    assert main(["batch", str(tmp_path), "--model.name=plexi"]) == 2
    assert "--model.name=plexi: no such option" in capsys.readouterr().err


def test_takes_that_would_overwrite_each_other_are_refused(tmp_path: Path) -> None:
    for amp in ("plexi", "tweed"):
        make_takes(tmp_path / amp, ["clean"])
    make_takes(tmp_path / "champ", ["crunch"])
    found = find_captures(tmp_path, "nano", {})
    assert [capture.name for capture in found if isinstance(capture, Capture)] == ["crunch"]
    text = plain(Queue(found, _Dying(), print, print).rows[1])["text"]
    assert f"has the name clean of {tmp_path / 'tweed' / 'clean'}" in text


def test_other_recordings_than_queued_are_refused(tmp_path: Path) -> None:
    takes = make_takes(tmp_path / "takes", ["soft"])
    capture = find_captures(takes, "nano", {"paths.run": f"{tmp_path}/run"})[0]
    assert isinstance(capture, Capture)
    (takes / "soft" / "target.wav").unlink()
    outcome = attempt(capture, lambda update: None)
    assert isinstance(outcome, Failure)
    assert f"soft/target.wav: found no file on {platform.node()}, expected sha256" in outcome.text
    assert "see the same folders under the same paths" in outcome.text


class _Dying:
    """An executor on which every process dies."""

    def __init__(self) -> None:
        self.started: list[int] = []

    def slots(self) -> int:
        return 1

    def start(self, number: int, capture: Capture) -> None:
        self.started.append(number)

    def poll(self, seconds: float) -> list[tuple[int, Message]]:
        return [(self.started[-1], Death("its process was ended by SIGKILL"))]

    def stop(self) -> None: ...

    def close(self) -> None: ...


def test_take_whose_process_always_dies_is_given_up_and_the_next_begins(tmp_path: Path) -> None:
    takes = make_takes(tmp_path / "takes", ["soft", "hard"])
    executor = _Dying()
    notes: list[str] = []
    queue = Queue(
        find_captures(takes, "nano", {"paths.run": f"{tmp_path}/{{model_name}}"}),
        executor,
        lambda row: None,
        lambda row, text: notes.append(text),
    )
    queue.run()
    assert executor.started == [0] * STARTS + [1] * STARTS
    assert [row.state for row in queue.rows] == ["failed", "failed"]
    assert "given up after 4 starts: its process was ended by SIGKILL" in queue.rows[0].text
    assert len(notes) == 2 * (STARTS - 1)
