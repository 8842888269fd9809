"""The text of systemd's files: what ships, what systemd says of it, and other people's paths."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ampd.config import PRIVATE_NETWORKS
from ampd.units import Installation, shipped, system_unit, user_unit

ROOT = Path(__file__).resolve().parents[2]
ANNA = Installation(
    command=("/home/anna/my ampd/.venv/bin/ampd",),
    config=Path("/home/anna/100%/ampd.toml"),
    reads=(Path("/usr"), Path("/home/anna/my ampd")),
    writes=(Path("/home/anna/rigs"), Path("/srv/models")),
)


def analyzed(verb: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    return subprocess.run(
        ["systemd-analyze", verb, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def exposure(folder: Path, text: str) -> float:
    """systemd's own figure for a unit: 0 is safe, 10 is not."""
    unit = folder / "ampd.service"
    unit.write_text(text)
    said = analyzed("security", "--offline=true", "--no-pager", str(unit)).stdout
    found = re.search(r"exposure level for ampd\.service: ([0-9.]+)", said)
    assert found, said
    return float(found[1])


def test_files_that_ship_are_these() -> None:
    """AMPD_WRITE_UNITS=1 writes them anew."""
    for name, text in shipped().items():
        path = ROOT / "systemd" / name
        if os.environ.get("AMPD_WRITE_UNITS"):
            path.write_text(text)
        assert path.read_text() == text, name


@pytest.mark.parametrize(
    "text",
    [
        system_unit(replace(ANNA, command=("/bin/true",))),
        system_unit(Installation(("/bin/true",), lan=True, networks=PRIVATE_NETWORKS)),
        user_unit(Installation(("/bin/true",))),
        shipped()["jackd.service"].replace("/usr/bin/jackd", "/bin/true"),
    ],
)
def test_systemd_finds_nothing_to_say(tmp_path: Path, text: str) -> None:
    unit = tmp_path / "try.service"
    unit.write_text(text)
    said = analyzed("verify", str(unit))
    assert (said.returncode, said.stderr) == (0, "")


def test_exposure_is_at_most_one_and_a_half(tmp_path: Path) -> None:
    assert exposure(tmp_path, system_unit(Installation())) <= 1.5
    # With the network on, and an ampd that lives in somebody's home.
    assert (
        exposure(tmp_path, system_unit(replace(ANNA, lan=True, networks=PRIVATE_NETWORKS))) <= 1.5
    )


def test_service_is_watched_and_always_comes_back() -> None:
    for text in (system_unit(Installation()), user_unit(Installation())):
        lines = text.splitlines()
        for line in (
            "Type=notify",
            "WatchdogSec=5",
            "Restart=always",
            "RestartSec=100ms",
            "StartLimitIntervalSec=0",
            "LimitRTPRIO=80",
            "LimitMEMLOCK=infinity",
            "LimitRTTIME=200000",
        ):
            assert line in lines


def test_paths_of_an_installation_are_written_as_systemd_reads_them() -> None:
    lines = system_unit(ANNA).splitlines()
    command = '"/home/anna/my ampd/.venv/bin/ampd" run --config "/home/anna/100%%/ampd.toml"'
    assert f"ExecStart={command}" in lines
    # A home is not seen but for what is needed of it, and what is made there can be written.
    assert "ProtectHome=tmpfs" in lines
    assert "BindReadOnlyPaths=-/home/anna/my\\x20ampd" in lines
    assert "BindPaths=-/home/anna/rigs" in lines
    assert "ReadWritePaths=-/srv/models" in lines
    assert "BindReadOnlyPaths=-/usr" not in lines
    assert "ProtectHome=yes" in system_unit(Installation()).splitlines()


def test_only_who_switches_the_network_on_is_reached_from_it() -> None:
    closed, opened = (
        system_unit(Installation(lan=lan, networks=("192.168.7.0/24",))).splitlines()
        for lan in (False, True)
    )
    assert "IPAddressDeny=any" in closed
    assert "IPAddressAllow=localhost" in closed
    assert "IPAddressDeny=any" in opened
    assert "IPAddressAllow=localhost 192.168.7.0/24 224.0.0.251 ff02::fb" in opened
