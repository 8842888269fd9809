"""What keeps a machine from real time, each with what mends it: the checks of `ampd doctor`.

Every check reads files of the kernel below one root and what the process itself may do (Powers),
so a test can hold up any machine to it.  Nothing is changed.
"""

import ipaddress
import os
import re
import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GOOD, WARN, BAD, UNKNOWN = "good", "warn", "bad", "unknown"
RT_PRIORITY = 10  # jackd's default, and less than it gives its clients
MEMLOCK_BYTES = 256 * 1024 * 1024  # a JACK client with a full bank of rigs
RT_SHARE = 0.9  # of a second, that real-time threads may take
CAP_IPC_LOCK = 14
HOT_C = 80.0
CPUS = "sys/devices/system/cpu/cpu*"
LONG_MS = 6.0  # of a period: from there on a player feels it
BUSY = 0.7
MAX_TEXT = 4096
SPARE_WATCHES = 1000
THROTTLED = {
    0x1: (BAD, "too little voltage now"),
    0x2: (BAD, "the clock is held down now"),
    0x4: (BAD, "throttled now"),
    0x8: (WARN, "near its temperature limit now"),
    0x10000: (WARN, "had too little voltage since it was started"),
    0x40000: (WARN, "was throttled since it was started"),
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: str  # GOOD | WARN it may cost dropouts | BAD it will | UNKNOWN
    found: str
    fix: str = ""  # one line; "" where nothing is to be mended


@dataclass(frozen=True)
class Powers:
    """What this process may do."""

    may_realtime: bool
    rtprio_limit: int  # -1: no limit
    memlock_limit: int  # bytes; -1: no limit
    may_lock: bool  # whatever the limit says


@dataclass(frozen=True)
class Server:
    """The sound server as it was seen. kind: "jack" or "pipewire", "" where none answers."""

    kind: str = ""
    reason: str = ""  # why none answers
    sample_rate_hz: int = 0
    period_frames: int = 0
    realtime: bool = False
    load: dict[str, Any] | None = None  # LoadState of a daemon that runs
    xruns: int = 0


def powers() -> Powers:
    """What this process may do, tried out."""
    rtprio, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    memlock, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    capable = re.search(r"CapEff:\s*([0-9a-f]+)", _read(Path("/proc/self/status")))
    may_lock = bool(capable and int(capable[1], 16) >> CAP_IPC_LOCK & 1)
    return Powers(_try_realtime(), _limit(rtprio), _limit(memlock), may_lock)


def _limit(value: int) -> int:
    return -1 if value == resource.RLIM_INFINITY else value


def _try_realtime() -> bool:
    """In a thread of its own, which ends with its priority."""
    done: list[bool] = []

    def rise() -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(RT_PRIORITY))
            done.append(True)

    thread = threading.Thread(target=rise)
    thread.start()
    thread.join()
    return bool(done)


def examine(
    root: Path,
    powers: Powers,
    server: Server,
    models: Path | None = None,
    cache: Path | None = None,
) -> list[Check]:
    """All checks, in the order in which they are worth mending."""
    checks = [
        _realtime(powers),
        _memlock(powers),
        *_server(root, server),
        *_load(server),
        *_throttling(root),
        _governor(root),
        *_usb(root, server),
        _preemption(root),
        _rt_share(root),
        _quota(root),
    ]
    if models is not None:
        checks.append(_watches(root, models))
    if cache is not None:
        checks.append(_cache(cache))
    return checks


# --- what the process may do --------------------------------------------------------------------

LIMITS = "/etc/security/limits.d/audio.conf"
JOIN = "sudo usermod -aG audio $USER, then log in again"


def _realtime(powers: Powers) -> Check:
    name = "real-time priority"
    limit = "no limit" if powers.rtprio_limit < 0 else f"limit {powers.rtprio_limit}"
    if powers.may_realtime:
        return Check(name, GOOD, f"threads may have it ({limit})")
    fix = f"put '@audio - rtprio 95' into {LIMITS}; {JOIN} (a systemd unit: LimitRTPRIO=95)"
    return Check(name, BAD, f"refused to this user ({limit}): every other program comes first", fix)


def _memlock(powers: Powers) -> Check:
    name = "locked memory"
    limit = powers.memlock_limit
    if limit < 0 or powers.may_lock:
        return Check(name, GOOD, "as much as is wanted")
    if limit >= MEMLOCK_BYTES:
        return Check(name, GOOD, f"up to {limit // 1024**2} MB")
    fix = (
        f"put '@audio - memlock unlimited' into {LIMITS}; {JOIN} "
        f"(a systemd unit: LimitMEMLOCK=infinity)"
    )
    found = f"only {limit / 1024**2:.0f} MB: a page on its way from the disk stops the sound"
    return Check(name, BAD, found, fix)


# --- the sound server ---------------------------------------------------------------------------


def _server(root: Path, server: Server) -> Iterator[Check]:
    name = "sound server"
    if not server.kind:
        pipewire = "pipewire" in processes(root)
        fix = (
            "PipeWire runs: start with 'pw-jack ampd run' (Debian: apt install pipewire-jack)"
            if pipewire
            else "jackd -R -d alsa -d hw:0 -r 48000 -p 64 -n 3 (aplay -l names the cards)"
        )
        yield Check(name, BAD, server.reason or "none answers", fix)
        return
    title = {"jack": "JACK", "pipewire": "PipeWire"}.get(server.kind, server.kind)
    period_ms = 1000 * server.period_frames / max(1, server.sample_rate_hz)
    found = (
        f"{title}, {server.sample_rate_hz} Hz, {server.period_frames} frames ({period_ms:.2f} ms)"
    )
    if server.realtime:
        yield Check(name, GOOD, f"{found}, real-time")
    else:
        fix = (
            "start jackd with -R"
            if server.kind == "jack"
            else "apt install rtkit, or mend the limits above"
        )
        yield Check(name, BAD, f"{found}, NOT real-time", fix)
    if period_ms > LONG_MS:
        frames = 128 if server.sample_rate_hz > 50000 else 64
        fix = (
            f"jack_bufsize {frames}, or jackd -p {frames}"
            if server.kind == "jack"
            else f"pw-metadata -n settings 0 clock.force-quantum {frames}, or PIPEWIRE_QUANTUM"
        )
        yield Check(
            "period", WARN, f"{period_ms:.1f} ms in and as much out: a player feels it", fix
        )


def _load(server: Server) -> Iterator[Check]:
    load = server.load
    if load is None:
        return
    name = "load of the rig"
    share = f"p50 {load['p50']:.0%}, p99 {load['p99']:.0%} of the period"
    lighter = "a lighter rig ('ampd rig show NAME' has its cost), or a longer period"
    if load["late_engine"]:
        yield Check(name, BAD, f"{share}; {load['late_engine']} blocks late by the engine", lighter)
    elif load["p99"] > BUSY:
        yield Check(name, WARN, share, lighter)
    else:
        yield Check(name, GOOD, share)
    if load["late_machine"]:
        found = f"{load['late_machine']} blocks late while the engine's thread did not run"
        fix = "mend what stands here as bad or warn; end what else runs"
        yield Check(
            "late by the machine", WARN, f"{found}; xruns of the server: {server.xruns}", fix
        )


# --- the processor ------------------------------------------------------------------------------


def _governor(root: Path) -> Check:
    name = "processor clock"
    found = {_read(path).strip() for path in root.glob(f"{CPUS}/cpufreq/scaling_governor")}
    if not found:
        return Check(name, GOOD, "is not changed by this kernel")
    if found == {"performance"}:
        return Check(name, GOOD, "governor performance")
    fix = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    others = ", ".join(sorted(found - {"performance"}))
    return Check(name, WARN, f"governor {others}: slow when the first note comes", fix)


def _throttling(root: Path) -> Iterator[Check]:
    name = "throttling"
    temperatures = _numbers(root, "sys/class/thermal/thermal_zone*/temp")
    slowed = _numbers(root, f"{CPUS}/thermal_throttle/core_throttle_count")
    hottest = max(temperatures, default=0) / 1000
    warm = f", {hottest:.0f} degrees" if temperatures else ""
    flags = _throttle_flags(root)
    found = [(verdict, text) for bit, (verdict, text) in THROTTLED.items() if flags & bit]
    if any(slowed):
        found.append((WARN, f"the processor was slowed {max(slowed)} times for its heat"))
    if hottest >= HOT_C:
        found.append((WARN, "hot"))
    if found:
        worst = BAD if BAD in [verdict for verdict, _ in found] else WARN
        fix = "a fan or heat sink; for voltage the maker's own supply and a short, thick cable"
        yield Check(name, worst, "; ".join(text for _, text in found) + warm, fix)
    elif temperatures or slowed or _firmware(root):
        yield Check(name, GOOD, f"none{warm}")
    else:
        yield Check(name, UNKNOWN, "this machine does not tell")


def _throttle_flags(root: Path) -> int:
    """What a Raspberry Pi's firmware says; 0 where there is none."""
    with suppress(ValueError):
        return int(_firmware(root), 16)
    return 0


def _firmware(root: Path) -> str:
    return _read(root / "sys/devices/platform/soc/soc:firmware/get_throttled")


def _preemption(root: Path) -> Check:
    name = "kernel"
    version, options = _read(root / "proc/version"), _read(root / "proc/cmdline")
    if _read(root / "sys/kernel/realtime").strip() == "1" or "PREEMPT_RT" in version:
        return Check(name, GOOD, "PREEMPT_RT")
    if "preempt=full" in options or ("PREEMPT" in version and "PREEMPT_DYNAMIC" not in version):
        threaded = "threadirqs" in options
        return Check(name, GOOD, f"preemptible{', interrupts in threads' * threaded}")
    if "PREEMPT_DYNAMIC" in version:
        fix = (
            "add 'preempt=full threadirqs' to GRUB_CMDLINE_LINUX in /etc/default/grub, "
            "sudo update-grub, start anew"
        )
        return Check(name, WARN, "can be preemptible, but was not started so", fix)
    fix = "apt install linux-image-rt-amd64 (or -arm64), and start with it"
    return Check(name, WARN, "not preemptible: below 128 frames a period it will drop blocks", fix)


def _rt_share(root: Path) -> Check:
    name = "share of real-time threads"
    runtime = _read(root / "proc/sys/kernel/sched_rt_runtime_us").strip()
    period = _read(root / "proc/sys/kernel/sched_rt_period_us").strip() or "1000000"
    if not re.fullmatch(r"-?[0-9]+", runtime) or not period.isdigit():
        return Check(name, UNKNOWN, "the kernel does not tell")
    if int(runtime) < 0 or int(runtime) >= RT_SHARE * int(period):
        return Check(
            name, GOOD, "unlimited" if int(runtime) < 0 else f"{int(runtime) / int(period):.0%}"
        )
    fix = "sudo sysctl kernel.sched_rt_runtime_us=950000"
    return Check(name, BAD, f"stopped for a while after {int(runtime) / 1000:.0f} ms", fix)


def _quota(root: Path) -> Check:
    name = "processor quota"
    quota = _read(root / "sys/fs/cgroup/cpu.max").split()
    if len(quota) != 2 or not quota[0].isdigit() or not quota[1].isdigit():
        return Check(name, GOOD, "none")
    cores = int(quota[0]) / max(1, int(quota[1]))
    fix = "run outside this container, or without its CPUQuota"
    return Check(name, BAD, f"{cores:.2g} cores, and then all stops until the next period", fix)


# --- USB ----------------------------------------------------------------------------------------


def _usb(root: Path, server: Server) -> Iterator[Check]:
    cards = sorted(root.glob("sys/class/sound/card[0-9]*"))
    if not cards:
        fix = "plug the interface in; 'lsusb' and 'dmesg' tell whether the kernel sees it"
        # A server without one plays over the network, or to a file.
        yield Check("sound card", WARN if server.kind else BAD, "there is none", fix)
        return
    for card in cards:
        name = _read(card / "id").strip() or card.name
        device = _usb_device(card)
        if device is None:
            yield Check("sound card", GOOD, f"{name}, not on USB")
            continue
        yield _usb_check(name, device)


def _usb_check(name: str, device: Path) -> Check:
    speed = _read(device / "speed").strip()
    title = f"{name}, on USB at {speed or '?'} Mbit/s"
    if _read(device / "power/control").strip() == "auto":
        fix = f"echo on | sudo tee /sys/bus/usb/devices/{device.name}/power/control"
        return Check("sound card", WARN, f"{title}, may be put to sleep", fix)
    neighbours = [path.name for path in _usb_neighbours(device)]
    if neighbours:
        fix = "plug it into a port of its own, with no hub between"
        return Check("sound card", WARN, f"{title}, shares a hub with {len(neighbours)} more", fix)
    return Check("sound card", GOOD, title)


def _usb_device(card: Path) -> Path | None:
    """The USB device behind a card: the first folder above it that has a speed."""
    with suppress(OSError):
        here = (card / "device").resolve()
        for folder in (here, *here.parents):
            if (folder / "speed").is_file() and (folder / "idVendor").is_file():
                return folder
    return None


def _usb_neighbours(device: Path) -> list[Path]:
    """Other devices on the same hub, where that is not the machine's own."""
    hub = device.parent
    if re.fullmatch(r"usb[0-9]+", hub.name):
        return []
    with suppress(OSError):
        return [p for p in hub.iterdir() if p != device and (p / "idVendor").is_file()]
    return []


# --- the library --------------------------------------------------------------------------------


def _watches(root: Path, models: Path) -> Check:
    name = "watched folders"
    limit = _read(root / "proc/sys/fs/inotify/max_user_watches").strip()
    try:
        with os.scandir(models) as entries:
            folders = sum(1 for entry in entries if entry.is_dir())
    except OSError:
        folders = 0
    if not limit.isdigit():
        return Check(name, UNKNOWN, "the kernel does not tell how many it watches")
    if int(limit) >= folders + SPARE_WATCHES:
        return Check(name, GOOD, f"{folders} folders of models, {limit} can be watched")
    fix = f"sudo sysctl fs.inotify.max_user_watches={4 * (folders + SPARE_WATCHES)}"
    return Check(name, WARN, f"{folders} folders of models, only {limit} can be watched", fix)


def _cache(cache: Path) -> Check:
    name = "cache"
    place = next((folder for folder in (cache, *cache.parents) if folder.exists()), cache)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Check(name, GOOD, str(cache))
    fix = "make it writable, or name another folder in ampd.toml: [paths] cache"
    return Check(name, WARN, f"{cache} cannot be written: all is measured anew every time", fix)


# --- the network --------------------------------------------------------------------------------


def network(lan: bool, networks: Sequence[str]) -> Check:
    """Whom the daemon lets in, by [control] of ampd.toml."""
    name = "network"
    if not lan:
        return Check(name, GOOD, "nobody but this machine is let in")
    fix = "[control] networks in ampd.toml; without it the private ones are let in"
    if not networks:
        return Check(name, WARN, "is on, and lets nobody in", fix)
    public = [text for text in networks if not ipaddress.ip_network(text).is_private]
    if public:
        return Check(name, WARN, f"lets in machines of the Internet: {', '.join(public)}", fix)
    return Check(name, GOOD, f"lets in {', '.join(networks)}; all but guests' rights want pairing")


# --- reading ------------------------------------------------------------------------------------


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TEXT).decode("utf-8", "replace")
    except OSError:
        return ""


def _numbers(root: Path, pattern: str) -> list[int]:
    texts = [_read(path).strip() for path in root.glob(pattern)]
    return [int(text) for text in texts if text.isascii() and text.isdigit()]


def processes(root: Path) -> set[str]:
    """The names of all that run."""
    return {_read(path).strip() for path in root.glob("proc/[0-9]*/comm")}


def verdict(checks: list[Check]) -> int:
    """The exit code: 1 where something is bad."""
    return int(any(check.verdict == BAD for check in checks))
