"""raw, normalized and calibrated: the plugin measures what the daemon measures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ampd.bank import Plan
from ampd.rehearsal import Levels, levelled
from ampd.rig import Rig, RigBlock
from tests.plugin.hosts import ROOT, Signal, Vst3, off, play, render
from tests.plugin.project import frame, model_state

MODELS = ROOT / "models"

# The daemon's FFT and the plugin's round differently: a loudness agrees to 1e-9 dB, a signal of
# 32 bits and a gain in float32 to 1e-6.
LIMIT = 2e-6


@pytest.mark.parametrize("rate_hz", [44100, 48000, 96000])
@pytest.mark.parametrize("name", ["champ", "ts9"])
def test_normalized_is_as_loud_as_in_the_daemon(
    load: Callable[[], Vst3], guitar: Signal, name: str, rate_hz: int
) -> None:
    model = MODELS / name / f"{name}.json"
    plugin = load()
    plugin.raw_state = frame(model_state(model, level=1.0))
    plan = Plan(Rig(name, blocks=(RigBlock("amp", "amp", model=name),)), {name: model}, ())
    setup = levelled(plan, rate_hz, Levels("normalized"))
    assert abs(setup.output_trim_db) > 0.5
    truth = render(plan, guitar, rate_hz, setup)[0]
    assert off(play(plugin, guitar[None], rate_hz)[0], truth) <= LIMIT


def test_calibrated_brings_the_voltage_of_the_capture(
    load: Callable[[], Vst3], guitar: Signal, tmp_path: Path
) -> None:
    document = json.loads((MODELS / "ts9" / "ts9.nam").read_text())
    document.setdefault("metadata", {}).update(input_level_dbu=8.5, output_level_dbu=15.0)
    model = tmp_path / "level.nam"
    model.write_text(json.dumps(document))
    plugin = load()
    plugin.raw_state = frame(model_state(model, level=2.0))
    plan = Plan(Rig("x", blocks=(RigBlock("amp", "amp", model="x"),)), {"x": model}, ())
    setup = levelled(plan, 48000, Levels("calibrated"))
    assert (setup.input_trim_db, setup.output_trim_db) == (3.5, 3.0)
    truth = render(plan, guitar, 48000, setup)[0]
    assert off(play(plugin, guitar[None], 48000)[0], truth) <= LIMIT
