"""A daemon on a network of its own, in a network namespace."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ampd.conftest import RIGS, write_model

ROOT = Path(__file__).resolve().parents[2]


def can_unshare() -> bool:
    """Whether we may have a network of our own."""
    if not all(map(shutil.which, ("unshare", "ip"))):
        return False
    argv = ["unshare", "--net", "ip", "link", "set", "lo", "up"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_network_hears_what_it_may(tmp_path: Path) -> None:
    if not can_unshare():
        pytest.skip("no right to unshare a network namespace, or no ip")
    (tmp_path / "rigs").mkdir()
    for name, text in RIGS.items():
        (tmp_path / "rigs" / f"{name}.yaml").write_text(text)
    write_model(tmp_path / "models" / "tiny" / "tiny.json")
    argv = ["unshare", "--net", sys.executable, "-m", "tests.e2e.room", str(tmp_path)]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    token = found["token"]
    assert len(token) == 26
    assert (found["mode"], found["kept"]) == ("0o600", token)
    for who in ("stranger", "stranger_paired", "stranger_ipv6"):
        assert found[who] == [], who
        assert not found[f"{who.removesuffix('_paired')}_tcp"]
    assert found["guest"] == ["/ampd/rig", ["drive"]]
    assert found["guest_knob"] == []  # no answer is as short as the question
    assert found["guest_ipv6"] == ["/ampd/mute", [True]]
    assert found["guest_tcp"]
    assert found["guest_ipv6_tcp"]
    assert found["paired"] == [f"/ampd/{token}/mix", [0.75]]
    assert found["paired_ipv6"] == [f"/ampd/{token}/mix", [0.5]]
    assert found["here"] == ["/ampd/mix", [0.5]]
    assert f"#pair={token}" in found["page"]
    assert token not in found["log"]
    assert "Traceback" not in found["log"]
