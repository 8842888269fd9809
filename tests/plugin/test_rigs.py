"""To the stage and back: the daemon's rigs in the plugin, and the plugin's sound in the daemon."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ampd.bank import plan_rig
from ampd.library import Library
from ampd.passport import RigPassport, check
from ampd.rehearsal import Levels, levelled
from ampd.rig import read_rig
from tests.plugin.hosts import BUILD, ROOT, Signal, Vst3, off, play, render
from tests.plugin.project import frame, model_state

RIGS = sorted((ROOT / "rigs").glob("*.yaml"))
CHAMP = ROOT / "models" / "champ" / "champ.json"
TOOL = BUILD / "tests" / "plugin_rig"
LIMIT = 2e-6  # of peak: a host's share of the way is a float, so a gain slips by 1e-5 dB


def rig_tool(*arguments: str | Path) -> str:
    if not TOOL.is_file():
        pytest.skip("plugin_rig is not built; make test-plugin brings it")
    done = subprocess.run(
        [str(word) for word in (TOOL, *arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_daemon(rig: Path, signal: Signal) -> Signal:
    """(2, frames) of the rig, its files in the folder models/ beside rigs/."""
    root = rig.parents[1]
    plan = plan_rig(Library(root / "rigs", root / "models"), read_rig(rig))
    return render(plan, signal, 48000, levelled(plan, 48000, Levels()))


@pytest.mark.parametrize("rig", RIGS, ids=lambda path: path.stem)
def test_every_shipped_rig_opens_with_its_sound(
    load: Callable[[], Vst3], guitar: Signal, rig: Path, tmp_path: Path
) -> None:
    rig_tool("open", rig, tmp_path / "state")
    plugin = load()
    plugin.raw_state = frame((tmp_path / "state").read_bytes())
    # Two sides in would be two amps; a rig's echoes and rooms are stereo behind one guitar, and
    # pedalboard gives mono back, so the mean of the sides is compared.
    truth = in_daemon(rig, guitar).mean(axis=0, dtype=np.float32)
    assert off(play(plugin, guitar[None], 48000)[0], truth) <= LIMIT


@pytest.mark.parametrize("level", [0, 1, 2])
def test_exported_rig_is_checked_and_sounds_alike_in_the_daemon(
    load: Callable[[], Vst3], guitar: Signal, tmp_path: Path, level: int
) -> None:
    click = np.exp(-np.arange(2000) / 200) * np.cos(np.arange(2000) / 5)
    soundfile.write(tmp_path / "mein cab.wav", 0.3 * click, 48000, subtype="FLOAT")
    state = model_state(
        CHAMP,
        tmp_path / "mein cab.wav",
        input_gain=-4.25,
        output_gain=2.5,
        gate_threshold=-66.0,
        mix=0.75,
        level=float(level),
    )
    (tmp_path / "state").write_bytes(state)
    rig = tmp_path / "stage" / "rigs" / "mine.yaml"
    rig_tool("export", tmp_path / "state", rig)
    library = Library(tmp_path / "stage" / "rigs", tmp_path / "stage" / "models")
    checked = check(rig, library, 48000, with_cost=False)
    assert isinstance(checked, RigPassport)
    assert checked.blocks == ["gate", "amp champ", "cab"]
    assert (tmp_path / "stage" / "models" / "cabs" / "mein-cab.wav").is_file()
    plugin = load()
    plugin.raw_state = frame(state)
    truth = in_daemon(rig, guitar)[0]
    assert off(play(plugin, guitar[None], 48000)[0], truth) <= LIMIT
