"""Short forms of what `python -m tests.bench.plugin` measures at length."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.hosts import ROOT


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("sides", ["1", "2"])
def test_64_instances_play_within_their_memory(vst3: Path, sides: str) -> None:
    pytest.importorskip("pedalboard", reason="pedalboard is absent; make test-plugin brings it")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.plugin", "--memory", sides],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        cwd=ROOT,
        env=dict(os.environ),
    )
    (row,) = rows(done.stdout)
    assert row["instances"] == 64
    assert row["off_the_daemon"] <= 1e-6
    assert row["value"] <= row["at_most"]


def test_rigs_swapped_while_a_host_plays_come_in_without_a_fault(
    vst3: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("minihost", reason="minihost is absent; make test-plugin brings it")
    pytest.importorskip("torch", reason="torch is absent; it makes the rigs' models")
    from tests.bench import plugin_swaps, switching  # noqa: PLC0415 (they import torch)

    swaps = 9
    plugin_swaps.swap_figures("sine", switching.sine(swaps * switching.RATE_HZ), swaps)
    told = rows(capsys.readouterr().out)
    assert len(told) >= 8
    assert [row["figure"] for row in told if not row["reached"]] == []
