"""ampd.toml -> frozen Config, checked once.

What settings.py reads is checked against KEYS.  The file at the repository root shows every key
with its unit, range and default.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ampd.errors import ConfigError
from ampd.midi import CHANNEL_COUNT
from ampd.places import HOST, PORT, cache_folder, settings_file, state_folder
from ampd.profiles import PROFILES
from ampd.settings import NAMED, OSC, Checks, integer, near, parse, read, section

PATTERN_LENGTH = 256
MAX_PATTERNS = 32
MAX_OUTPUTS = 2
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_NETWORKS = 32
PRIVATE_NETWORKS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
)
OUTPUT_LEVELS = ("raw", "normalized", "calibrated")


@dataclass(frozen=True)
class JackConfig:
    """Where the sound comes from and goes to. Patterns are shell patterns of JACK port names."""

    client_name: str = "ampd"
    server_name: str = ""  # "" = JACK_DEFAULT_SERVER, or "default"
    input: str = "system:capture_1"  # "" = connect nothing
    outputs: tuple[str, ...] = ("system:playback_1", "system:playback_2")
    midi_in: tuple[str, ...] = ("system:midi_capture_*",)
    midi_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class OscConfig:
    """Where commands come in. host is a loopback address; port 0 lets the system choose."""

    host: str = HOST
    port: int = PORT


@dataclass(frozen=True)
class ControlConfig:
    """Who may command. lan: machines of the networks (CIDR), not this one alone; what they may do
    before they are paired, control/gate.py says."""

    lan: bool = False
    networks: tuple[str, ...] = PRIVATE_NETWORKS


@dataclass(frozen=True)
class MidiConfig:
    """What controllers do outside rigs; profiles.py, midi_file.py."""

    profile: str = "hx"
    channel: int = 0  # 1 to 16; 0 = any
    map: Path = Path("midi.yaml")  # the player's own bindings; need not be there
    feedback: bool = True  # values go back to midi_out


@dataclass(frozen=True)
class PathsConfig:
    """The rooms of the library, where measurements are kept, and what plays for the next start;
    absolute or relative to the working directory in the end."""

    rigs: Path = Path("rigs")
    models: Path = Path("models")
    cabs: Path = Path("models/cabs")
    cache: Path = field(default_factory=lambda: cache_path())
    state: Path = field(default_factory=lambda: state_path())


@dataclass(frozen=True)
class Config:
    """All settings of the daemon. source is the file they came from, None for the defaults."""

    jack: JackConfig = field(default_factory=JackConfig)
    osc: OscConfig = field(default_factory=OscConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    midi: MidiConfig = field(default_factory=MidiConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    start_rig: str = "clean"
    memory_mb: int = 512
    output_level: str = "raw"  # of a rig that does not say: one of OUTPUT_LEVELS
    input_dbu: float = 12.0  # RMS of a 1 kHz sine that reads 0 dBFS peak at the interface
    source: Path | None = None


def _decimal(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(value)

    return check


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError("1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return value


def _name_or_nothing(value: Any) -> str:
    return "" if value == "" else _name(value)


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or len(value) > PATTERN_LENGTH or not value.isprintable():
        raise ValueError(f"a port name or pattern of at most {PATTERN_LENGTH} characters")
    return value


def _patterns(limit: int) -> Callable[[Any], tuple[str, ...]]:
    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > limit:
            raise ValueError(f"a list of at most {limit} port names or patterns")
        return tuple(_pattern(item) for item in value)

    return check


def _networks(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and len(value) <= MAX_NETWORKS:
        try:
            return tuple(str(ipaddress.ip_network(_text(item))) for item in value)
        except ValueError:
            pass
    raise ValueError(f'a list of at most {MAX_NETWORKS} networks such as "192.168.1.0/24"')


def _text(value: Any) -> str:
    if not isinstance(value, str):  # a number would be taken for an address
        raise ValueError
    return value


def _folder(value: Any) -> Path:
    return _path(value, "a folder")


def _file(value: Any) -> Path:
    return _path(value, "a file")


def _path(value: Any, what: str) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{what}, absolute or relative to this file")
    try:
        return Path(value).expanduser()
    except RuntimeError:  # ~name, and nobody is called so
        raise ValueError(f"{what} of a user who is known here") from None


def _profile(value: Any) -> str:
    if not isinstance(value, str) or value not in PROFILES:
        raise ValueError(f"one of {', '.join(PROFILES)}")
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _folder_or_default(value: Any) -> Path | None:
    return None if value == "" else _folder(value)


KEYS: Mapping[str, Checks] = {
    "jack": {
        "client_name": _name,
        "server_name": _name_or_nothing,
        "input": _pattern,
        "outputs": _patterns(MAX_OUTPUTS),
        "midi_in": _patterns(MAX_PATTERNS),
        "midi_out": _patterns(MAX_PATTERNS),
    },
    "osc": OSC,
    "control": {"lan": _switch, "networks": _networks},
    "midi": {
        "profile": _profile,
        "channel": integer(0, CHANNEL_COUNT),
        "map": _file,
        "feedback": _switch,
    },
    "paths": {
        "rigs": _folder,
        "models": _folder,
        "cabs": _folder,
        "cache": _folder_or_default,
        "state": _folder_or_default,
    },
    "rig": {"start": _name},
    "bank": {"memory_mb": integer(1, 65536)},
    "output": {"level": _one_of(OUTPUT_LEVELS)},
    "calibration": {"input_dbu": _decimal(-40.0, 40.0)},
}


def cache_path() -> Path:
    """Where measurements are kept unless ampd.toml says: $XDG_CACHE_HOME/ampd or ~/.cache/ampd."""
    return Path(cache_folder())


def state_path() -> Path:
    """Where it is kept what plays unless ampd.toml says: $STATE_DIRECTORY, which systemd sets,
    $XDG_STATE_HOME/ampd or ~/.local/state/ampd."""
    return Path(state_folder())


def load_config(path: Path | str | None = None) -> Config:
    """Read `path`, or the ampd.toml that is found (places.py), or answer the defaults.

    Raises ConfigError. Blocks on the disk: not for the event loop.
    """
    if path is None:
        path = settings_file()
        if not path:
            return Config()
    return parse_config(read(path), Path(path))


def parse_config(text: str, path: Path) -> Config:
    """Check the text of an ampd.toml that lies at `path`. Raises ConfigError."""
    document = parse(text, path)
    values = {name: _section(path, name, table) for name, table in document.items()}
    base = path.parent
    folders = values.get("paths", {})
    midi = values.get("midi", {})
    return Config(
        jack=JackConfig(**values.get("jack", {})),
        osc=OscConfig(**values.get("osc", {})),
        control=ControlConfig(**values.get("control", {})),
        midi=MidiConfig(**midi | {"map": base / midi.get("map", MidiConfig.map)}),
        paths=PathsConfig(
            rigs=base / folders.get("rigs", PathsConfig.rigs),
            models=base / folders.get("models", PathsConfig.models),
            cabs=base / folders.get("cabs", PathsConfig.cabs),
            cache=base / (folders.get("cache") or cache_path()),
            state=base / (folders.get("state") or state_path()),
        ),
        start_rig=values.get("rig", {}).get("start", Config.start_rig),
        memory_mb=values.get("bank", {}).get("memory_mb", Config.memory_mb),
        output_level=values.get("output", {}).get("level", Config.output_level),
        input_dbu=values.get("calibration", {}).get("input_dbu", Config.input_dbu),
        source=path,
    )


def _section(path: Path, name: str, table: Any) -> dict[str, Any]:
    if name not in KEYS:
        raise ConfigError(
            f"{path}: [{name[:NAMED]}] is not a section{near(name, KEYS)}; "
            f"expected one of {', '.join(KEYS)}."
        )
    return section(path, name, table, KEYS[name])
