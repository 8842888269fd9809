"""How loud a rig comes out: the two trims that a rig gets beside its own gains.  No engine call.

raw         none
normalized  one trim at the output: the rig, as its file has it, is played the guitar of ampd.probe
            once, and is brought to -20 LUFS.  There the guitar itself, whose peaks lie 13 dB above
            its loudness, has 6 dB to go to the ceiling of -1 dBFS when it is struck harder; what
            an amp compresses has more.  Snapshots, knobs and pedals change the loudness as they
            would without the trim.
calibrated  a trim at the input brings the guitar's voltage to the first amp as its capture had it,
            and one at the output makes of the last amp's answer what this interface would have
            read of it: a rig is as loud as the amp was.  What a model does not say is left.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ampd import __version__
from ampd.bank import Plan
from ampd.passports import Store, fingerprint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TARGET_LUFS = -20.0
MOST_DB = 24.0  # of a trim, up or down: metadata and silence ask for more
SILENT_LUFS = -70.0  # BS.1770's own: what is below is no sound
VERSION = 1  # grows when a block sounds louder or quieter than it did


@dataclass(frozen=True)
class Trims:
    """Gains around a rig, beside its own; each at most MOST_DB up or down."""

    input_db: float = 0.0
    output_db: float = 0.0
    warnings: tuple[str, ...] = ()


class CaptureLevels(Protocol):
    """What a model says of its capture: the dBu RMS of a 1 kHz sine that was 0 dBFS peak."""

    @property
    def input_level_dbu(self) -> float | None: ...
    @property
    def output_level_dbu(self) -> float | None: ...


# The answer of the rig to the guitar at a rate, (sides, frames): passport.rig_answer.
Measure: TypeAlias = "Callable[[Plan, int], NDArray[np.float32]]"
Inspect = Callable[[str], CaptureLevels]  # of the model file at this path


@dataclass(frozen=True)
class Leveller:
    """Finds the trims of rigs for a host of one rate. Any thread; blocks while it measures.

    measure, inspect: the engine's, given by who may call it; what they raise goes through.
    """

    rate_hz: int
    input_dbu: float  # of a 1 kHz sine that reads 0 dBFS peak at the interface, RMS
    store: Store
    measure: Measure
    inspect: Inspect

    def trims(self, plan: Plan, level: str) -> Trims:
        """The trims of a rig. level: the rig's own, else the one of ampd.toml."""
        if level == "normalized":
            return self._normalized(plan)
        if level == "calibrated":
            return self._calibrated(plan)
        return Trims()

    def _normalized(self, plan: Plan) -> Trims:
        lufs = rig_loudness_lufs(plan, self.rate_hz, self.store, self.measure)
        if lufs < SILENT_LUFS:
            return Trims(warnings=(f"{_place(plan)}: gives no sound; its level is left as it is.",))
        trim, warnings = _bounded(plan, "output", TARGET_LUFS - lufs)
        return Trims(output_db=trim, warnings=warnings)

    def _calibrated(self, plan: Plan) -> Trims:
        amps = [block for block in plan.rig.blocks if block.models]
        if not amps:
            return Trims()
        first, last = ([self._said(plan, name) for name in amps[n].models] for n in (0, -1))
        ins, missing = _one(plan, "input", [levels.input_level_dbu for levels in first])
        outs, also_missing = _one(plan, "output", [levels.output_level_dbu for levels in last])
        into, far = _bounded(plan, "input", 0.0 if ins is None else self.input_dbu - ins)
        out, also_far = _bounded(plan, "output", 0.0 if outs is None else outs - self.input_dbu)
        return Trims(into, out, (*missing, *also_missing, *far, *also_far))

    def _said(self, plan: Plan, name: str) -> CaptureLevels:
        return self.inspect(str(plan.models[name]))


def rig_loudness_lufs(plan: Plan, rate_hz: int, store: Store, measure: Measure) -> float:
    """How loud the rig answers the guitar at this rate, measured once; -200 for silence."""
    key = rig_key(plan, rate_hz)
    lufs = store.rig_loudness_lufs(key)
    if lufs is None:
        from ampd.probe import loudness_lufs  # noqa: PLC0415 (numpy is half of all memory)

        lufs = loudness_lufs(measure(plan, rate_hz), rate_hz)
        store.keep_rig_loudness(key, lufs)
    return lufs


def rig_key(plan: Plan, rate_hz: int) -> str:
    """64 hex digits that change with whatever decides how loud a rig is: its values and blocks,
    the bytes of its models and impulses, the rate, the version. Raises LibraryError. Blocks."""
    rig = plan.rig
    files = [path for path, *_ in plan.stamp if path != str(rig.path)]
    decides = {
        "version": [VERSION, __version__],
        "rate_hz": rate_hz,
        "values": dict(rig.values),
        "blocks": [
            {each.name: getattr(block, each.name) for each in fields(block) if each.compare}
            for block in rig.blocks
        ],
        "files": [fingerprint(Path(path)) for path in files],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _place(plan: Plan) -> str:
    return str(plan.rig.path or plan.rig.name)


def _bounded(plan: Plan, end: str, wanted_db: float) -> tuple[float, tuple[str, ...]]:
    trim = min(max(wanted_db, -MOST_DB), MOST_DB)
    if trim == wanted_db:
        return trim, ()
    return trim, (
        f"{_place(plan)}: would need {wanted_db:+.1f} dB at the {end}; it gets {trim:+.0f} dB, "
        f"the most there is.",
    )


def _one(plan: Plan, end: str, said: list[float | None]) -> tuple[float | None, tuple[str, ...]]:
    """The level that the models of one amp say; of a family that is not of one mind the first."""
    if said[0] is None:
        return None, (
            f"{_place(plan)}: its model does not say {end}_level_dbu; "
            f"the {end} is left as it is instead of calibrated.",
        )
    if any(level != said[0] for level in said):
        return said[0], (
            f"{_place(plan)}: the models of its family say different {end}_level_dbu; "
            f"the first, {said[0]:g} dBu, counts for all.",
        )
    return said[0], ()
