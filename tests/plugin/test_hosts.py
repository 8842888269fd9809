"""Hosts of every kind that runs without a screen."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.plugin.hosts import LV2_URI, PROBE, ROOT, Signal, off, render_model
from tests.plugin.project import frame, model_state, to_base64

CHAMP = ROOT / "models" / "champ" / "champ.json"
BASELINE = Path(__file__).parent / "lv2_validate.txt"

# What hosts keep of automation. Frozen: a project that names another id loses its curves.
PARAMS = {
    "Input Gain": 1386281684,
    "Output Gain": 1322673149,
    "Mix": 108124,
    "Gate Threshold": 1170074103,
    "Quality": 651215103,
    "Knob 1": 1020826792,
    "Knob 2": 1020826793,
    "Knob 3": 1020826794,
    "Knob 4": 1020826795,
    "Cab": 98244,
    "Level": 102865796,
    "Bypass": 773352680,
}


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def told(vst3: Path) -> dict[str, Any]:
    """What a host of nothing but the SDK is told."""
    if not PROBE.is_file():
        pytest.skip("vst3_probe is not built; make test-plugin brings it")
    (module,) = vst3.glob("Contents/*/ampd.*")
    answer: dict[str, Any] = json.loads(run(PROBE, module))
    return answer


def test_vst3_accepts_three_layouts_and_no_other(told: dict[str, Any]) -> None:
    layouts = {"1-1": True, "1-2": True, "2-2": True, "2-1": False, "6-6": False}
    assert told["layouts"] == layouts
    assert told["takes_float32"]


def test_vst3_ids_are_frozen_and_bypass_is_the_hosts(told: dict[str, Any]) -> None:
    assert {param["title"]: param["id"] for param in told["params"]} == PARAMS
    assert [param["title"] for param in told["params"] if param["bypass"]] == ["Bypass"]
    assert all(param["automates"] for param in told["params"])
    assert {param["units"] for param in told["params"]} == {"", "dB"}


@pytest.mark.parametrize("ins_outs", [(1, 1), (1, 2), (2, 2)])
def test_minihost_plays_the_vst3(vst3: Path, guitar: Signal, ins_outs: tuple[int, int]) -> None:
    minihost = pytest.importorskip("minihost", reason="minihost is absent; make test-plugin")
    plugin = minihost.Plugin(str(vst3), 48000, 512, *ins_outs)
    plugin.set_state(frame(model_state(CHAMP)))
    assert_plays(plugin, guitar, ins_outs)


def test_minihost_plays_the_lv2(lv2: Path, guitar: Signal) -> None:
    minihost = pytest.importorskip("minihost", reason="minihost is absent; make test-plugin")
    plugin = minihost.Plugin(str(lv2), 48000, 512, 2, 2)
    text = plugin.get_state().decode()
    mine = re.sub(r'(StateString> ")[^"]*', rf"\g<1>{to_base64(model_state(CHAMP))}", text)
    assert mine != text
    plugin.set_state(mine.encode())
    assert_plays(plugin, guitar, (2, 2))
    again = minihost.Plugin(str(lv2), 48000, 512, 2, 2)
    again.set_state(plugin.get_state())
    assert_plays(again, guitar, (2, 2))


def assert_plays(plugin: Any, guitar: Signal, ins_outs: tuple[int, int]) -> None:
    ins, outs = ins_outs
    assert plugin.latency_samples == 0
    truth = render_model(CHAMP, guitar, 48000)
    heard = np.zeros((outs, len(guitar)), np.float32)
    for at in range(0, len(guitar), 512):
        block = np.ascontiguousarray(np.tile(guitar[at : at + 512], (max(ins, outs), 1)))
        out = np.zeros_like(block)
        plugin.process(block[:ins].copy(), out)
        heard[:, at : at + 512] = out[:outs]
    for side in heard:
        assert off(side, truth) <= 1e-6


def test_ardour_scans_the_vst3(vst3: Path, tool: Callable[[str], str], tmp_path: Path) -> None:
    told = run(
        tool("ardour-vst3-scanner"),
        "-f",
        "-v",
        vst3,
        HOME=str(tmp_path),
        LD_LIBRARY_PATH="/usr/lib/ardour7",
    )
    assert re.search(r"name\s*=?\"?:?\s*ampd|Found Plugin.*ampd|ampd", told)
    assert "error" not in told.lower()


def test_lilv_reads_the_lv2(lv2: Path, tool: Callable[[str], str]) -> None:
    path = f"{lv2.parent}:/usr/lib/lv2"
    assert LV2_URI in run(tool("lv2ls"), LV2_PATH=path).split()
    told = run(tool("lv2info"), LV2_URI, LV2_PATH=path)
    assert re.search(r"Name:\s+ampd\b", told)
    assert told.count("AudioPort") == 4
    assert "reported by port" in told


def test_lv2_validate_finds_nothing_new(lv2: Path, tool: Callable[[str], str]) -> None:
    """What it finds is JUCE's own: the kept list, without the numbers of blank nodes."""
    schemas = sorted(Path("/usr/lib/lv2").glob("*.lv2/*.ttl"))
    assert schemas
    done = subprocess.run(
        [tool("lv2_validate"), *map(str, sorted(lv2.glob("*.ttl")))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert findings(done.stdout + done.stderr) == BASELINE.read_text(encoding="utf-8").split("\n\n")


def findings(text: str) -> list[str]:
    """Each error and what it is about, sorted."""
    text = re.sub(r"\bb\d+\b", "_", text)
    text = re.sub(r"^(Found|warning|note).*$", "", text, flags=re.MULTILINE)
    entries = re.split(r"(?m)^error: ", text)[1:]
    return sorted(
        "\n".join(line.strip() for line in each.splitlines() if line.strip()) for each in entries
    )
