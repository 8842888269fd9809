"""ampd doctor, held up to machines that are made of files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ampd import doctor_verb
from ampd.cli import main
from ampd.config import PRIVATE_NETWORKS, Config
from ampd.doctor import (
    BAD,
    GOOD,
    UNKNOWN,
    WARN,
    Check,
    Powers,
    Server,
    examine,
    network,
    powers,
    verdict,
)
from tests.ampd.conftest import Served

ABLE = Powers(may_realtime=True, rtprio_limit=95, memlock_limit=-1, may_lock=False)
JACK = Server("jack", "", 48000, 64, True)
CPU = "sys/devices/system/cpu"
USB = "sys/devices/pci0/usb1/1-2"
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
FILES = {
    "proc/version": "Linux 6.1 #1 SMP PREEMPT_RT Debian",
    "proc/cmdline": "quiet",
    "proc/sys/kernel/sched_rt_runtime_us": "950000",
    "proc/sys/kernel/sched_rt_period_us": "1000000",
    "proc/sys/fs/inotify/max_user_watches": "65536",
    "proc/7/comm": "bash\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "0\n",
    "sys/class/thermal/thermal_zone0/temp": "51234\n",
    "sys/fs/cgroup/cpu.max": "max 100000\n",
    f"{USB}/speed": "480\n",
    f"{USB}/idVendor": "1235\n",
    f"{USB}/power/control": "on\n",
    f"{USB}/1-2:1.0/name": "",
    "sys/class/sound/card1/id": "Scarlett\n",
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine on which nothing is wrong."""
    root = tmp_path / "machine"
    for name, text in FILES.items():
        plant(root, name, text)
    (root / "sys/class/sound/card1/device").symlink_to(root / USB / "1-2:1.0")
    return root


def plant(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def wrong(checks: list[Check]) -> list[Check]:
    return [check for check in checks if check.verdict != GOOD]


def test_a_good_machine_has_nothing_to_mend(machine: Path) -> None:
    checks = examine(machine, ABLE, JACK, machine, machine / "cache")
    assert wrong(checks) == []
    assert verdict(checks) == 0
    assert not any(check.fix for check in checks)


@pytest.mark.parametrize(
    ("name", "text", "check", "grade", "words", "fix"),
    [
        (f"{CPU}/cpu1/cpufreq/scaling_governor", "powersave", "processor clock", WARN, "powersave",
         "scaling_governor"),
        (f"{CPU}/cpu0/thermal_throttle/core_throttle_count", "12", "throttling", WARN, "12 times",
         "fan"),
        ("sys/class/thermal/thermal_zone1/temp", "91000", "throttling", WARN, "91 degrees", "fan"),
        (FIRMWARE, "50005", "throttling", BAD, "too little voltage now", "cable"),
        (FIRMWARE, "0x40000", "throttling", WARN, "since it was started", "fan"),
        ("proc/version", "Linux PREEMPT_DYNAMIC", "kernel", WARN, "not started so", "preempt=full"),
        ("proc/version", "Linux SMP", "kernel", WARN, "not preemptible", "linux-image-rt"),
        ("proc/sys/kernel/sched_rt_runtime_us", "500000", "share of real-time threads", BAD,
         "500 ms", "sysctl"),
        ("sys/fs/cgroup/cpu.max", "50000 100000", "processor quota", BAD, "0.5 cores", "CPUQuota"),
        (f"{USB}/power/control", "auto", "sound card", WARN, "put to sleep", "devices/1-2/power"),
        ("proc/sys/fs/inotify/max_user_watches", "128", "watched folders", WARN, "only 128",
         "max_user_watches"),
    ],
)  # fmt: skip
def test_each_trouble_is_found_and_its_mending_told(
    machine: Path, name: str, text: str, check: str, grade: str, words: str, fix: str
) -> None:
    plant(machine, name, text)
    (found,) = wrong(examine(machine, ABLE, JACK, machine))
    assert (found.name, found.verdict) == (check, grade)
    assert words in found.found
    assert fix in found.fix
    assert "\n" not in found.fix + found.found


def test_full_preemption_is_seen_on_the_command_line(machine: Path) -> None:
    plant(machine, "proc/version", "Linux PREEMPT_DYNAMIC")
    plant(machine, "proc/cmdline", "quiet preempt=full threadirqs")
    assert wrong(examine(machine, ABLE, JACK)) == []


def test_an_interface_behind_a_hub_with_others_is_told(machine: Path) -> None:
    hub = "sys/devices/pci0/usb1/1-4"
    for device, parts in (("1-4.1", {"speed": "480"}), ("1-4.2", {"speed": "12"})):
        for name, text in {**parts, "idVendor": "1"}.items():
            plant(machine, f"{hub}/{device}/{name}", text)
    (machine / hub / "1-4.1" / "1-4.1:1.0").mkdir()
    card = machine / "sys/class/sound/card1/device"
    card.unlink()
    card.symlink_to(machine / hub / "1-4.1" / "1-4.1:1.0")
    (found,) = wrong(examine(machine, ABLE, JACK))
    assert "shares a hub with 1 more" in found.found


def test_no_card_is_bad_unless_a_server_runs_without_one(machine: Path) -> None:
    (machine / "sys/class/sound/card1/device").unlink()
    (machine / "sys/class/sound/card1/id").unlink()
    (machine / "sys/class/sound/card1").rmdir()
    (found,) = wrong(examine(machine, ABLE, JACK))
    assert (found.verdict, found.found) == (WARN, "there is none")
    none = [c for c in examine(machine, ABLE, Server()) if c.name == "sound card"]
    assert none[0].verdict == BAD


@pytest.mark.parametrize(
    ("may", "names"),
    [
        (replace(ABLE, may_realtime=False, rtprio_limit=0), ["real-time priority"]),
        (replace(ABLE, memlock_limit=8 * 1024**2), ["locked memory"]),
        (replace(ABLE, memlock_limit=8 * 1024**2, may_lock=True), []),
        (replace(ABLE, memlock_limit=1024**3), []),
    ],
)
def test_limits_are_mended_where_they_are_set(machine: Path, may: Powers, names: list[str]) -> None:
    found = wrong(examine(machine, may, JACK))
    assert [check.name for check in found] == names
    for check in found:
        assert check.verdict == BAD
        assert "/etc/security/limits.d/audio.conf" in check.fix
        assert "systemd" in check.fix


@pytest.mark.parametrize(
    ("server", "words", "fix"),
    [
        (Server(reason="no server answers"), "no server answers", "jackd -R"),
        (replace(JACK, realtime=False), "NOT real-time", "-R"),
        (replace(JACK, kind="pipewire", realtime=False), "NOT real-time", "rtkit"),
        (replace(JACK, period_frames=1024), "21.3 ms", "jack_bufsize 64"),
        (replace(JACK, kind="pipewire", period_frames=1024), "21.3 ms", "force-quantum 64"),
        (replace(JACK, period_frames=1024, sample_rate_hz=96000), "10.7 ms", "jack_bufsize 128"),
    ],
)
def test_a_server_that_is_not_right_is_told(
    machine: Path, server: Server, words: str, fix: str
) -> None:
    (found,) = wrong(examine(machine, ABLE, server))
    assert words in found.found
    assert fix in found.fix


def test_where_pipewire_runs_without_its_libjack_pw_jack_is_the_mending(machine: Path) -> None:
    plant(machine, "proc/8/comm", "pipewire\n")
    (found,) = wrong(examine(machine, ABLE, Server(reason="none")))
    assert "pw-jack ampd run" in found.fix


def test_what_a_running_daemon_saw_counts(machine: Path) -> None:
    load = {"p50": 0.4, "p99": 0.5, "maximum": 0.6, "late_engine": 0, "late_machine": 0}
    assert wrong(examine(machine, ABLE, replace(JACK, load=load))) == []
    heavy = wrong(examine(machine, ABLE, replace(JACK, load=load | {"p99": 0.8})))
    assert [(check.name, check.verdict) for check in heavy] == [("load of the rig", WARN)]
    late = wrong(examine(machine, ABLE, replace(JACK, load=load | {"late_engine": 3}, xruns=2)))
    assert [(check.name, check.verdict) for check in late] == [("load of the rig", BAD)]
    held = wrong(examine(machine, ABLE, replace(JACK, load=load | {"late_machine": 3}, xruns=2)))
    assert "3 blocks late" in held[0].found
    assert "xruns of the server: 2" in held[0].found


def test_an_empty_machine_raises_nothing(tmp_path: Path) -> None:
    checks = examine(tmp_path, ABLE, JACK, tmp_path / "none", tmp_path / "none")
    unknown = [check.name for check in checks if check.verdict == UNKNOWN]
    assert unknown == ["throttling", "share of real-time threads", "watched folders"]
    assert verdict(checks) == 0


def test_a_cache_that_cannot_be_written_is_told(machine: Path) -> None:
    (machine / "file").write_text("")
    (found,) = wrong(examine(machine, ABLE, JACK, cache=machine / "file" / "cache"))
    assert "[paths] cache" in found.fix


def test_the_process_knows_its_own_powers() -> None:
    mine = powers()
    assert mine.rtprio_limit >= -1
    assert mine.memlock_limit >= -1


def test_the_verb_tells_each_in_a_line_and_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_verb, "_by_daemon", lambda *_: None)
    monkeypatch.setattr(doctor_verb, "_by_ourselves", lambda _: Server(reason="none answers"))
    assert main(["doctor", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    server = next(row for row in rows if row["name"] == "sound server")
    assert (server["verdict"], server["found"]) == ("bad", "none answers")
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in lines] == [row["name"] for row in rows]


def test_a_daemon_without_a_server_is_no_answer(served: Served) -> None:
    assert main(["doctor", "--port", "1"]) == 3
    assert served.session.state.jack.state == "waiting"
    assert doctor_verb._by_daemon(Config(), served.port) is None


@pytest.mark.parametrize(
    ("lan", "networks", "verdict_", "found"),
    [
        (False, (), GOOD, "nobody but this machine"),
        (False, ("0.0.0.0/0",), GOOD, "nobody but this machine"),
        (True, PRIVATE_NETWORKS, GOOD, "192.168.0.0/16"),
        (True, (), WARN, "lets nobody in"),
        (True, ("192.168.1.0/24", "0.0.0.0/0"), WARN, "Internet: 0.0.0.0/0"),
        (True, ("::/0",), WARN, "Internet: ::/0"),
        (True, ("8.8.8.0/24",), WARN, "Internet: 8.8.8.0/24"),
    ],
)
def test_network_that_is_open_to_the_internet_is_told(
    lan: bool, networks: tuple[str, ...], verdict_: str, found: str
) -> None:
    check = network(lan, networks)
    assert check.verdict == verdict_
    assert found in check.found
    assert bool(check.fix) is (verdict_ == WARN)
