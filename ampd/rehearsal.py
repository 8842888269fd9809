"""A rig played without a host: brought in, settled, and what it answers to a signal."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ampd.bank import Plan
from ampd.config import Config
from ampd.errors import EngineError
from ampd.levels import Leveller
from ampd.passports import Store
from ampd.rack import Engine, Setup, build, model_info

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SETTLE_FRAMES, SETTLE_ROUNDS = 64, 4096


@dataclass(frozen=True)
class Levels:
    """How loud rigs are to be, and where what was measured is kept."""

    level: str = "raw"  # of rigs that do not say: raw, normalized or calibrated
    input_dbu: float = Config.input_dbu  # RMS of a 1 kHz sine that reads 0 dBFS peak
    store: Store = field(default_factory=Store)


def settle(engine: Engine) -> None:
    """Select slot 0 and play silence until nothing but its rig is heard. Raises EngineError.

    The engine has no thread of its own (threaded False), and nobody else drives it.
    """
    engine.select(0)
    for _ in range(SETTLE_ROUNDS):
        engine.play_silence(SETTLE_FRAMES)
        engine.service()
        if any(fact.kind == "switched" for fact in engine.facts()):
            return
    raise EngineError("The engine did not finish the switch to the rig.")


def rig_answer(
    plan: Plan, rate_hz: int, signal: "NDArray[np.float32] | None" = None
) -> "NDArray[np.float32]":
    """What a rig with its own values and no trims makes of the signal, or of ampd.probe's guitar,
    before the safety stage: (frames,) in, (2, frames) out, the latency cut. Raises RigError."""
    import numpy as np  # noqa: PLC0415 (half of all memory, and of a start)

    from ampd.probe import guitar_signal  # noqa: PLC0415

    if signal is None:
        signal = guitar_signal(rate_hz)
    engine = Engine(rate_hz, False, False)
    latency_frames = build(engine, 0, plan).latency_frames
    settle(engine)
    tail = np.zeros(latency_frames, np.float32)
    return engine.process(np.concatenate([signal, tail]))[:, latency_frames:]


def levelled(plan: Plan, rate_hz: int, levels: Levels) -> Setup:
    """The trims that the rig is built with at this rate; blocks while its loudness is measured,
    which is done once. Raises AmpdError."""
    leveller = Leveller(
        rate_hz, levels.input_dbu, levels.store, rig_answer, partial(model_info, plan)
    )
    trims = leveller.trims(plan, plan.rig.level or levels.level)
    return Setup(
        input_trim_db=trims.input_db, output_trim_db=trims.output_db, warnings=trims.warnings
    )
