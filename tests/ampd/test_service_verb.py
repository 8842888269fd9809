"""Installing the service and taking it away, without and with a systemd."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ampd.cli import main
from ampd.config import PRIVATE_NETWORKS, Config, ControlConfig, PathsConfig
from ampd.errors import ServiceError
from ampd.service_verb import install, installation, uninstall
from ampd.units import Files, Installation, for_system, for_user

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = ROOT.parent / "shared" / "tools" / "private-systemd"
LIMIT_S = 120


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A systemctl that notes what it is asked for, and fails where a file `refuse` lies."""
    tools, log = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    log.touch()
    tool = tools / "systemctl"
    tool.write_text(
        f'#!/bin/sh\necho "$@" >>{log}\n! test -e {tmp_path}/refuse || {{ echo no >&2; exit 1; }}\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return lambda: log.read_text().splitlines()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return for_user(Installation(("/opt/ampd",)), tmp_path / "config")


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_install_writes_tells_and_does_nothing_twice(
    tmp_path: Path, files: Files, calls: Callable[[], list[str]]
) -> None:
    install(files)
    unit = tmp_path / "config" / "systemd" / "user" / "ampd.service"
    assert unit.read_text() == files.texts[unit]
    assert calls() == ["--user daemon-reload", "--user enable ampd.service"]
    written = unit.stat().st_mtime_ns
    install(files)
    assert unit.stat().st_mtime_ns == written
    assert everything(tmp_path / "config") == ["systemd/user/ampd.service"]


def test_uninstall_leaves_nothing_and_does_nothing_twice(
    tmp_path: Path, files: Files, calls: Callable[[], list[str]]
) -> None:
    install(files)
    uninstall(files)
    assert everything(tmp_path / "config") == []
    assert calls()[2:] == ["--user disable --now ampd.service", "--user daemon-reload"]
    uninstall(files)
    assert calls()[4:] == ["--user daemon-reload"]


def test_files_of_another_hand_are_neither_overwritten_nor_removed(
    files: Files, calls: Callable[[], list[str]]
) -> None:
    (unit,) = files.texts
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/my/own\n")
    with pytest.raises(ServiceError, match=r"ampd\.service: is not ampd's"):
        install(files)
    uninstall(files)
    assert unit.read_text() == "[Service]\nExecStart=/my/own\n"
    assert calls() == ["--user daemon-reload"]


def test_what_systemd_refuses_is_one_sentence_and_removal_goes_on(
    tmp_path: Path, files: Files, calls: Callable[[], list[str]]
) -> None:
    (tmp_path / "refuse").touch()
    with pytest.raises(ServiceError, match="systemctl --user daemon-reload: no"):
        install(files)
    uninstall(files)
    assert everything(tmp_path / "config") == []


def test_dry_run_prints_every_file_and_call_and_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    calls: Callable[[], list[str]],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "ampd.toml").write_text("")
    assert main(["install-service", "--dry-run"]) == 0
    said = capsys.readouterr().out
    for path in for_system(Installation()).texts:
        assert f"# {path}\n" in said
    assert "$ systemctl enable ampd.service" in said
    assert f"--config {tmp_path}/ampd.toml" in said
    assert main(["uninstall-service", "--dry-run", "--purge"]) == 0
    said = capsys.readouterr().out
    assert "$ rm /etc/systemd/system/ampd.service" in said
    assert "$ userdel ampd" in said
    assert main(["install-service", "--user", "--dry-run"]) == 0
    assert "WantedBy=default.target" in capsys.readouterr().out
    assert calls() == []
    assert not (tmp_path / "config").exists()


def test_installation_is_this_one(tmp_path: Path) -> None:
    source = tmp_path / "ampd.toml"
    paths = PathsConfig(tmp_path / "rigs", tmp_path / "models", tmp_path / "cabs")
    here = installation(Config(paths=paths, control=ControlConfig(lan=True), source=source), "anna")
    assert here.account == "anna"
    assert here.lan
    assert here.networks == PRIVATE_NETWORKS
    assert here.config == source
    assert here.command[0] in (sys.executable, str(Path(sys.executable).with_name("ampd")))
    assert set(here.reads) >= {Path(sys.prefix), Path(sys.base_prefix), ROOT, tmp_path}
    assert here.writes == (tmp_path / "rigs", tmp_path / "models", tmp_path / "cabs")
    elsewhere = PathsConfig(state=Path("/srv/state"))
    assert installation(Config(paths=elsewhere), "ampd").writes == (Path("/srv/state"),)


def test_an_account_that_is_there_is_not_made() -> None:
    texts = for_system(Installation(account="anna")).texts
    assert "User=anna\n" in texts[Path("/etc/systemd/system/ampd.service")]
    assert Path("/etc/sysusers.d/ampd.conf") not in texts


STORY = """
ip link set lo up
mkdir -p /srv/stage/rigs /srv/stage/models /etc/systemd/system/ampd.service.d
printf 'chain:\\n  - gain: {{gain_db: 3}}\\n' >/srv/stage/rigs/clean.yaml
printf 'chain:\\n  - gain: {{gain_db: -3}}\\n' >/srv/stage/rigs/quiet.yaml
touch /srv/stage/ampd.toml; chmod -R a+rX /srv/stage; cd /srv/stage
export PYTHONPATH=/old{root}
ampd() {{ /old{python} -m ampd.cli "$@"; }}
# The paths of this installation lie below /old in here, and it may not be installed at all.
command="/old{python} -m ampd.cli run --config /srv/stage/ampd.toml"
printf '[Service]\\nEnvironment=PYTHONPATH=%s\\nExecStart=\\nExecStart=%s\\n' "$PYTHONPATH" \\
  "$command" >/etc/systemd/system/ampd.service.d/x.conf
show() {{ systemctl show ampd -p $1 --value; }}
restarted() {{
  for n in $(seq 200); do
    [ "$(show NRestarts)" = $1 ] && [ "$(show ActiveState)" = active ] && break; sleep 0.1
  done; echo "restarted $(show NRestarts) $(ampd status | head -1 | cut -f2)"
}}
ampd install-service >/dev/null && echo installed
timeout 30 systemctl start ampd && echo "ready $(show StatusText)"
ampd load quiet >/dev/null; sleep 1
pid=$(show MainPID); [ "$pid" -gt 1 ] || exit 1; kill -KILL $pid; restarted 1
pid=$(show MainPID); [ "$pid" -gt 1 ] || exit 1; kill -STOP $pid; restarted 2
journalctl -u ampd -o cat AMPD_MODULE=ampd.resume | tail -1
timeout 30 systemctl stop ampd; echo "stopped $(show Result) $(show ExecMainStatus)"
ampd uninstall-service --purge >/dev/null && echo removed
ls /etc/systemd/system/ampd.service /etc/sysusers.d/ampd.conf /var/lib/ampd 2>/dev/null
id ampd 2>/dev/null
"""


def test_under_systemd_it_is_ready_restarted_watched_and_stopped(tmp_path: Path) -> None:
    if not PRIVATE.exists() or os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("there is no private-systemd, or no right to it")
    script = tmp_path / "story.sh"
    script.write_text("#!/bin/bash\n" + STORY.format(root=ROOT, python=sys.executable))
    out = tmp_path / "said"
    with out.open("w") as file:  # not a pipe: whoever hangs in there would hold it open
        subprocess.run(
            ["timeout", "-s", "KILL", str(LIMIT_S), str(PRIVATE), str(script)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = out.read_text().splitlines()
    if "installed" not in said and not any("ampd" in line for line in said):
        pytest.skip(f"no private systemd boots here: {said[-1:]}")
    assert said[0] == "installed", said
    assert re.match(r"ready rig clean; JACK waiting", said[1]), said
    assert said[2:] == [
        "restarted 1 quiet",
        "restarted 2 quiet",
        "/var/lib/ampd/ampd.state: rig quiet plays on as it was left",
        "stopped success 0",
        "removed",
    ]
