"""What systemd needs to run ampd: the text of every file, for one installation.

The files in systemd/ are these, for an ampd in /usr/bin; systemd/README.md says why each line
stands there.
"""

from dataclasses import dataclass, field
from pathlib import Path

MARK = "# Written by `ampd install-service`; `ampd uninstall-service` takes it away."
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
MULTICAST = "224.0.0.251 ff02::fb"  # zeroconf

HARDENING = """\
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateMounts=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
RestrictRealtime=no
RemoveIPC=no
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @keyring @chown @setuid
SystemCallErrorNumber=EPERM
UMask=0077
IPAddressDeny=any
"""

USER_HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
UMask=0077
"""

LIFE = """\
Type=notify
NotifyAccess=main
WatchdogSec=5
WatchdogSignal=SIGKILL
Restart=always
RestartSec=100ms
TimeoutStartSec=30
TimeoutStopSec=10
LimitRTPRIO=80
LimitMEMLOCK=infinity
LimitRTTIME=200000
"""

LIMITS = f"""\
{MARK}
# Real-time threads and locked memory for whoever plays by hand, in the group audio.
@audio - rtprio 80
@audio - memlock unlimited
"""


@dataclass(frozen=True)
class Installation:
    """One ampd on one machine. Paths are absolute."""

    command: tuple[str, ...] = ("/usr/bin/ampd",)
    config: Path | None = None  # None: where ampd looks for it by itself
    account: str = "ampd"  # that the system's service runs as
    lan: bool = False  # [control] lan
    networks: tuple[str, ...] = ()  # [control] networks
    reads: tuple[Path, ...] = ()  # what it needs beyond the system's own folders
    writes: tuple[Path, ...] = ()  # where it keeps what is made on the page


@dataclass(frozen=True)
class Files:
    """Every file by its place, and what is called before and after."""

    texts: dict[Path, str]
    after: tuple[tuple[str, ...], ...] = field(default_factory=tuple)
    before_removal: tuple[tuple[str, ...], ...] = field(default_factory=tuple)
    after_removal: tuple[tuple[str, ...], ...] = field(default_factory=tuple)


def for_system(installation: Installation) -> Files:
    """The service of the machine: it plays from the power switch on, without a login."""
    unit = Path("/etc/systemd/system/ampd.service")
    sysusers, tmpfiles = Path("/etc/sysusers.d/ampd.conf"), Path("/etc/tmpfiles.d/ampd.conf")
    texts = {unit: system_unit(installation), Path("/etc/security/limits.d/ampd.conf"): LIMITS}
    own: tuple[tuple[str, ...], ...] = ()
    if installation.account == "ampd":
        texts |= {sysusers: SYSUSERS, tmpfiles: TMPFILES}
        own = (("systemd-sysusers", str(sysusers)), ("systemd-tmpfiles", "--create", str(tmpfiles)))
    systemctl = ("systemctl",)
    return Files(
        texts,
        (*own, (*systemctl, "daemon-reload"), (*systemctl, "enable", "ampd.service")),
        ((*systemctl, "disable", "--now", "ampd.service"),),
        ((*systemctl, "daemon-reload"),),
    )


def for_user(installation: Installation, config_home: Path) -> Files:
    """The service of one user: it plays from the login on, through the user's own PipeWire."""
    systemctl = ("systemctl", "--user")
    return Files(
        {config_home / "systemd" / "user" / "ampd.service": user_unit(installation)},
        ((*systemctl, "daemon-reload"), (*systemctl, "enable", "ampd.service")),
        ((*systemctl, "disable", "--now", "ampd.service"),),
        ((*systemctl, "daemon-reload"),),
    )


def system_unit(installation: Installation) -> str:
    """ampd.service of the machine."""
    families = "AF_UNIX AF_INET AF_INET6" + (" AF_NETLINK" if installation.lan else "")
    allowed = "localhost"
    if installation.lan:
        allowed = " ".join((allowed, *installation.networks, MULTICAST))
    own = f"User={installation.account}\nGroup=audio\n"
    return (
        f"{MARK}\n[Unit]\nDescription=ampd, a guitar amp rack\n"
        "After=jackd.service sound.target\n"
        "StartLimitIntervalSec=0\n\n"
        f"[Service]\nExecStart={_start(installation)}\n{LIFE}"
        "OOMScoreAdjust=-900\nMemoryMax=80%\nTasksMax=128\n"
        f"{own}StateDirectory=ampd\nStateDirectoryMode=0700\nCacheDirectory=ampd\n"
        "WorkingDirectory=/var/lib/ampd\n"
        "Environment=XDG_CACHE_HOME=/var/cache JACK_NO_START_SERVER=1\n\n"
        f"{HARDENING}RestrictAddressFamilies={families}\nIPAddressAllow={allowed}\n"
        f"{_places(installation)}\n[Install]\nWantedBy=multi-user.target\n"
    )


def user_unit(installation: Installation) -> str:
    """ampd.service of one user."""
    return (
        f"{MARK}\n[Unit]\nDescription=ampd, a guitar amp rack\n"
        "After=pipewire.service jackd.service\nStartLimitIntervalSec=0\n\n"
        f"[Service]\nExecStart={_start(installation)}\n{LIFE}"
        f"Environment=JACK_NO_START_SERVER=1\n\n{USER_HARDENING}\n"
        "[Install]\nWantedBy=default.target\n"
    )


def _start(installation: Installation) -> str:
    config = ("--config", str(installation.config)) if installation.config else ()
    return " ".join(_quoted(word) for word in (*installation.command, "run", *config))


def _quoted(word: str) -> str:
    """As systemd reads a word of a command: % and $ stand for themselves."""
    plain = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$").replace('"', '\\"')
    return f'"{plain}"' if plain != word or " " in word else word


def _places(installation: Installation) -> str:
    """Homes are empty but for what is needed of them."""
    places = [*installation.reads, *installation.writes]
    at_home = any(_is_at_home(place) for place in places)
    lines = [f"ProtectHome={'tmpfs' if at_home else 'yes'}"]
    for key, paths in (
        ("BindReadOnlyPaths", installation.reads),
        ("BindPaths", installation.writes),
    ):
        lines += [f"{key}=-{_escaped(path)}" for path in paths if _is_at_home(path)]
    lines += [
        f"ReadWritePaths=-{_escaped(path)}" for path in installation.writes if not _is_at_home(path)
    ]
    return "".join(f"{line}\n" for line in lines)


def _is_at_home(path: Path) -> bool:
    return any(path.is_relative_to(home) for home in HOMES)


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%").replace(":", "\\:").replace(" ", "\\x20")


SYSUSERS = f"""\
{MARK}
u ampd - "ampd, a guitar amp rack" /var/lib/ampd
m ampd audio
"""

TMPFILES = f"""\
{MARK}
d /var/lib/ampd 0700 ampd audio -
d /var/cache/ampd 0755 ampd audio -
"""

JACKD = """\
# A JACK server for the stage, of the same user as ampd: see systemd/README.md. Device, rate and
# period are yours to edit. Room for 256 ports, where jackd has 2048: 58 MB of locked memory less.
[Unit]
Description=JACK server
After=sound.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/jackd -R -P 70 --port-max 256 -d alsa -d hw:1 -r 48000 -p 64 -n 2
Restart=always
RestartSec=500ms
TimeoutStopSec=5
User=ampd
Group=audio
LimitRTPRIO=95
LimitMEMLOCK=infinity
LimitRTTIME=infinity
OOMScoreAdjust=-950
RemoveIPC=no
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_UNIX
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""


def shipped() -> dict[str, str]:
    """The files in systemd/, by name."""
    plain = Installation()
    return {
        "ampd.service": system_unit(plain),
        "user/ampd.service": user_unit(Installation(("%h/.local/bin/ampd",))).replace("%%h", "%h"),
        "jackd.service": JACKD,
        "ampd.sysusers": SYSUSERS,
        "ampd.tmpfiles": TMPFILES,
        "ampd.limits": LIMITS,
    }
