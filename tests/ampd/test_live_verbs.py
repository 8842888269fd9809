"""What a foot does, from a terminal, on a served session."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ampd.command import SelectRig
from ampd.live_verbs import NEEDLE_WIDTH, needle
from tests.ampd.conftest import Served, host
from tests.ampd.test_cli import ROOT, ampd
from tests.ampd.test_daemon import end, running
from tests.demo.stage import until

SHOTS = """program: 3
snapshots:
  - {name: rhythm, mix: 0.25}
  - {name: lead, mix: 0.75}
"""


@pytest.fixture
def shots(served: Served) -> Served:
    """A rig with two snapshots plays; there are two sets."""
    (served.library.rigs_path / "shots.yaml").write_text(SHOTS)
    served.library.sets_path.mkdir()
    (served.library.sets_path / "gig.yaml").write_text("rigs: [drive]\n")
    with served.client() as client:
        assert client.ask("/ampd/rig", "shots") == ["/ampd/rig", ["shots"]]
    return served


def said(served: Served, folder: Path, *arguments: str) -> list[str]:
    done = ampd(folder, *arguments, "--port", str(served.port))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_snapshot_is_listed_and_chosen_by_name_number_and_step(
    shots: Served, tmp_path: Path
) -> None:
    names = ["the rig itself", "rhythm", "lead"]

    def shown(here: int) -> list[str]:
        return [f"{'>' if n == here else ' '} {n} {name}" for n, name in enumerate(names)]

    assert said(shots, tmp_path, "snapshot") == shown(0)
    assert said(shots, tmp_path, "snapshot", "lead") == shown(2)
    assert shots.session.value("mix") == 0.75
    assert said(shots, tmp_path, "snapshot", "next") == shown(1)
    assert said(shots, tmp_path, "snapshot", "prev") == shown(2)
    assert said(shots, tmp_path, "snapshot", "0") == shown(0)
    done = ampd(tmp_path, "snapshot", "solo", "--port", str(shots.port))
    assert done.returncode == 1
    assert done.stderr == (
        "ampd: There is no snapshot solo, expected 0 to 2, next, prev or one of rhythm, lead.\n"
    )


def test_rig_without_snapshots_is_said(served: Served, tmp_path: Path) -> None:
    done = ampd(tmp_path, "snapshot", "--port", str(served.port))
    assert done.returncode == 1
    assert "has no snapshots" in done.stderr


def test_sets_are_listed_and_chosen(shots: Served, tmp_path: Path) -> None:
    with shots.client() as client:
        client.ask("/ampd/set", "gig")
        client.ask("/ampd/set", "")
    everything = "all (every rig of the folder)"
    assert said(shots, tmp_path, "sets") == [f"> {everything}", "  gig"]
    assert said(shots, tmp_path, "sets", "gig") == [f"  {everything}", "> gig"]
    assert said(shots, tmp_path, "sets", "next") == [f"> {everything}", "  gig"]
    assert said(shots, tmp_path, "sets", "prev") == [f"  {everything}", "> gig"]
    assert said(shots, tmp_path, "sets", "all") == [f"> {everything}", "  gig"]
    done = ampd(tmp_path, "sets", "gog", "--port", str(shots.port))
    assert (done.returncode, done.stderr) == (1, "ampd: set gog: there is gig.\n")


def test_panic_makes_it_dry(served: Served, tmp_path: Path) -> None:
    assert said(served, tmp_path, "panic") == ["dry; 'ampd set bypass off' brings the rig back"]
    assert served.session.value("bypass") is True


def tuner_of(served: Served) -> tuple[object, ...]:
    state = served.session.state.globals
    return state["tuner"], state["tuner_mutes"], state["tuner_reference_hz"]


def test_tune_shows_the_needle_and_puts_everything_back(served: Served, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "ampd.cli", "tune", "--loud", "--reference", "442"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(
        [*argv, "--port", str(served.port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # Whoever starts the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as tune:
        assert tune.stdout is not None
        assert "-|-" in tune.stdout.read(NEEDLE_WIDTH)
        until(lambda: tuner_of(served) == (True, False, 442.0), "the tuner is on")
        tune.send_signal(signal.SIGINT)
        assert tune.wait(30) in (0, 130)
    until(lambda: tuner_of(served)[:2] == (False, True), "all is as it was")


@pytest.mark.parametrize(
    ("cents", "place"), [(-50.0, 0), (0.0, 20), (49.9, 40), (-25.0, 10), (2.6, 21)]
)
def test_needle_stands_where_the_note_is(cents: float, place: int) -> None:
    line = needle("E2", cents, 82.41)
    assert line.startswith("E2 ")
    assert line[3:].index("#") == place
    assert line.endswith("82.41 Hz")


def test_learn_writes_what_the_daemon_hears(served: Served, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "ampd.cli", "learn", "mix", "--port", str(served.port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(
        argv,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as learning:
        assert learning.stderr is not None
        assert "move the controller for mix" in learning.stderr.readline()
        moved = asyncio.run_coroutine_threadsafe(move(served), served.loop)
        moved.result(10)
        told, _ = learning.communicate(timeout=10)
        assert learning.returncode == 0
        assert told.startswith("controller 74 on channel 3 now turns mix")
    written = next(tmp_path.rglob("midi.yaml")).read_text()
    assert "74" in written
    assert "mix" in written


async def move(served: Served) -> None:
    """A pedal moves for two seconds: when it is heard, only the daemon knows."""
    for value in range(100):
        await host(served.session, 64, bytes([0xB2, 74, value]))
        await served.session.execute(SelectRig("clean"))
        await asyncio.sleep(0.02)


def test_verbs_reach_a_daemon_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "rigs" / "sets").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "rigs" / "shots.yaml").write_text(SHOTS)
    (tmp_path / "rigs" / "sets" / "gig.yaml").write_text("rigs: [{shots: 5}]\n")
    with running(tmp_path, "--rig", "shots") as (process, port):
        for arguments, line in (
            (("snapshot", "lead"), "> 2 lead"),
            (("sets", "gig"), "> gig"),
            (("panic",), "dry; 'ampd set bypass off' brings the rig back"),
        ):
            done = ampd(tmp_path, *arguments, "--port", str(port))
            assert line in done.stdout.splitlines(), done.stderr
        state = json.loads(ampd(tmp_path, "status", "--json", "--port", str(port)).stdout)
        assert state["set"] == "gig"
        assert state["values"]["mix"] == 0.75, "the set kept what was turned"
        assert state["globals"]["bypass"] is True
        done = ampd(tmp_path, "learn", "mix", "--timeout", "0.5", "--port", str(port))
        assert done.returncode == 1
        assert "no controller moved within 0.5 s; nothing is changed" in done.stderr
        end(process)
