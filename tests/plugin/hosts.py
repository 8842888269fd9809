"""Where the plugin is built, how pedalboard hosts it, and what the daemon makes of the same."""

import os
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ampd.bank import Plan, plan_model
from ampd.rack import Engine, Setup, build
from ampd.rehearsal import settle

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
BUILD = ROOT / "build" / "plugin"
BUILT = BUILD / "ampd_plugin_artefacts" / "Release"
VST3 = BUILT / "VST3" / "ampd.vst3"
LV2 = BUILT / "LV2" / "ampd.lv2"
STANDALONE = BUILT / "Standalone" / "ampd"
PROBE = BUILD / "tests" / "vst3_probe"
LV2_URI = "http://ampd.invalid/plugin"
SEARCH = os.environ.get("PATH", "")

Signal = NDArray[np.float32]


class Vst3(Protocol):
    """What is used of pedalboard's VST3Plugin."""

    raw_state: bytes
    parameters: dict[str, object]
    input_gain_db: float
    output_gain_db: float
    mix: float
    level: str
    cab: bool
    bypass: bool

    def __call__(
        self, sound: Signal, sample_rate: float, buffer_size: int = ..., reset: bool = ...
    ) -> Signal: ...
    def process(
        self, sound: Signal, sample_rate: float, buffer_size: int = ..., reset: bool = ...
    ) -> Signal: ...
    def show_editor(self, close_event: object = None) -> None: ...


def load(path: Path) -> Vst3:
    """A new instance."""
    import pedalboard  # noqa: PLC0415 (GPL, and only where these tests run)

    instance: Vst3 = pedalboard.load_plugin(str(path))
    return instance


def play(instance: Vst3, signal: Signal, rate_hz: int, block: int = 8192) -> Signal:
    """What the instance makes of (sides, frames) from its beginning, the latency cut.

    pedalboard asks for the latency before it has activated a plugin at another rate, and would cut
    that of the rate before: silence first lets it know.
    """
    instance(np.zeros((len(signal), 64), np.float32), rate_hz)
    heard: Signal = instance(signal, rate_hz, buffer_size=block)
    return heard


def render(plan: Plan, signal: Signal, rate_hz: int, setup: Setup | None = None) -> Signal:
    """(2, frames): what `ampd render` makes of the signal, the latency cut."""
    engine = Engine(rate_hz, False, True)
    latency = build(engine, 0, plan, setup).latency_frames
    settle(engine)
    tail = np.zeros(latency, np.float32)
    return engine.process(np.concatenate([signal, tail]))[:, latency:]


def render_model(model: Path, signal: Signal, rate_hz: int) -> Signal:
    """(frames,): the same of a rig of one amp."""
    left: Signal = render(plan_model(model), signal, rate_hz)[0]
    return left


def off(heard: Signal, truth: Signal) -> float:
    """The largest difference over the peak of the truth."""
    return float(np.abs(heard - truth).max() / np.abs(truth).max())
