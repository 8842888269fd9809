"""What outlives the daemon: the rig that plays, as it is turned, and everything beside it.

Kept <-> bytes.  The file says first that it is one, in which version, then a checksum and the
length of what follows, one line of JSON: what was cut off, spoilt or half written is known as that.
"""

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ampd.bank import Built
from ampd.command import NUMBERS, SWITCHES
from ampd.edit import MOVERS
from ampd.errors import StateError
from ampd.rig import is_name
from ampd.state import State, WiringState

VERSION = 1
MAX_BYTES = 256 * 1024
MAX_PATH = 4096
MOMENTS = ("mute", "tuner")  # of this evening: they do not outlive a power switch


@dataclass(frozen=True)
class Kept:
    """What a daemon needs to go on where another one ended."""

    rig: str
    values: Mapping[str, float] = field(default_factory=dict)  # that are not the rig's own
    files: Mapping[str, str] = field(default_factory=dict)  # "amp/model", where others were chosen
    model: str = ""  # the absolute path of the one model file that plays as a rig, outside the bank
    set: str = ""
    globals: Mapping[str, bool | float] = field(default_factory=dict)
    wiring: WiringState = field(default_factory=WiringState)
    boot: str = ""  # the kernel's name for its own run

    def after_boot(self, boot: str) -> "Kept":
        """The same as it holds in the run `boot` of the machine: after a power switch nothing is
        muted, however it was left."""
        if boot and boot == self.boot:
            return self
        lasting = {path: on for path, on in self.globals.items() if path not in MOMENTS}
        return replace(self, globals=lasting, boot=boot)


def to_keep(built: Built, state: State, boot: str) -> Kept | None:
    """What is to be kept of the rig that plays and its State; None for the built-in dry one, which
    nobody asked for."""
    rig, own = built.plan.rig, built.values
    if not rig.blocks and rig.path is None:
        return None
    # A snapshot moves values, so what was turned back to the rig's own counts too.
    moved = any(state.values.get(path) != own.get(path) for path in MOVERS)
    values = {path: v for path, v in state.values.items() if moved or v != own.get(path)}
    model = next(iter(built.plan.models.values()), None) if rig.path is None else None
    return Kept(
        rig=rig.name,
        values=values,
        files=dict(rig.files) if built.plan.edited and model is None else {},
        model=str(model.absolute()) if model is not None else "",
        set=state.set,
        globals=dict(state.globals),
        wiring=state.wiring,
        boot=boot,
    )


def encode(kept: Kept) -> bytes:
    """The whole content of a state file."""
    return sealed(json.dumps(asdict(kept), separators=(",", ":"), sort_keys=True).encode())


def decode(data: bytes) -> Kept:
    """The other way. Raises StateError: what is wrong with the data, to follow the file's name."""
    head, _, body = data.partition(b"\n")
    words = head.split(b" ")
    if words[0] != b"ampd-state" or len(words) < 2:
        raise StateError("is empty, or no state file")
    if words[1] != b"%d" % VERSION:
        raise StateError(f"is of version {words[1][:16].decode('ascii', 'replace')}, not {VERSION}")
    if data != sealed(body[:-1]):
        raise StateError("is spoilt: its checksum is another one")
    try:
        return _kept(json.loads(body))
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise StateError(f"does not hold a state ({type(error).__name__}: {error})") from error


def sealed(body: bytes) -> bytes:
    """One line of JSON behind what says that it is whole."""
    mark = b"ampd-state %d" % VERSION
    return b"%s %08x %d\n%s\n" % (mark, zlib.crc32(mark + body), len(body), body)


def _kept(found: Any) -> Kept:
    if not is_name(found["rig"]) or not (found["set"] == "" or is_name(found["set"])):
        raise ValueError("rig or set is no name")
    model = _text(found["model"])
    if model and not model.startswith("/"):
        raise ValueError("model is no absolute path")
    return Kept(
        rig=found["rig"],
        values={_text(path): _number(value) for path, value in found["values"].items()},
        files={_text(path): _text(name) for path, name in found["files"].items()},
        model=model,
        set=found["set"],
        globals=_globals(found["globals"]),
        wiring=_wiring(found.get("wiring", {})),
        boot=_text(found["boot"]),
    )


def _globals(found: Mapping[str, Any]) -> dict[str, bool | float]:
    switches = {path: bool(found[path]) for path in SWITCHES if path in found}
    return switches | {path: _number(found[path]) for path in NUMBERS if path in found}


def _wiring(found: Mapping[str, Any]) -> WiringState:
    made, apart = (
        tuple((_text(source), _text(other)) for source, other in found.get(key, ()))
        for key in ("made", "apart")
    )
    return WiringState(made, apart)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_PATH or "\0" in value:
        raise ValueError("a text is none")
    return value
