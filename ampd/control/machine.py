"""How the box itself is: heat, and whether the processor slows itself down for it."""

from dataclasses import dataclass
from pathlib import Path

SENSORS = "class/thermal/thermal_zone*/temp"
PI_FLAGS = "devices/platform/soc/soc:firmware/get_throttled"
PI_NOW = 0x0E  # frequency capped, throttled, soft temperature limit: the bits of this moment
COUNTS = "devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"


@dataclass(frozen=True)
class Machine:
    """One look. throttle_count: events since the start of the machine, where it counts them."""

    temperature_c: float = 0.0  # of the hottest sensor; 0: there is none
    is_throttled: bool = False
    throttle_count: int = 0


def look(before: Machine, sys: Path = Path("/sys")) -> Machine:
    """Read the sensors; `before` is the look that came before this one. Blocks on sysfs."""
    heat = max((_number(path) for path in sys.glob(SENSORS)), default=0) / 1000.0
    count = sum(_number(path) for path in sys.glob(COUNTS))
    flags = _number(sys / PI_FLAGS, 16)
    counted = 0 < before.throttle_count < count
    return Machine(round(heat, 1), bool(flags & PI_NOW) or counted, count)


def _number(path: Path, base: int = 10) -> int:
    try:
        return int(path.read_text(encoding="ascii").strip(), base)
    except (OSError, ValueError):
        return 0
