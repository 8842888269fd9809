"""What weighs on the control side does not touch the sound: searches, floods."""

import json

import numpy as np
import pytest

from ampd.control.packet import encode
from tests.demo.stage import Stage, until
from tests.e2e.conftest import Opener
from tests.e2e.flood import HARMLESS, Flood, harmless
from tests.e2e.rack import SILENCE_FRAMES, Rack, far, model_text, noise

pytestmark = pytest.mark.jack

EXACT = 1e-6
MODELS = 200
RATE_PER_S = 20_000


def test_flood_with_hostile_packets_changes_no_sample_and_the_last_value_wins(rack: Rack) -> None:
    rack.osc.ask("/ampd/rig", "net")
    rack.until_rig("net")
    sound = noise(2.0)
    calm = rack.passed(sound)
    flood = Flood(rack.daemon.port, harmless(rack.osc), RATE_PER_S)
    passage = rack.begin(sound)
    flood.start()
    flooded = passage.end()
    flood.end(encode(HARMLESS, [441.5]))
    until(lambda: rack.osc.ask(HARMLESS).values[0] == 441.5, "the last value wins")
    assert flood.sent > 2000  # a slow machine sends fewer
    assert np.array_equal(calm[SILENCE_FRAMES:], flooded[SILENCE_FRAMES:])


def test_sound_is_the_same_while_the_library_is_looked_through_and_searched(
    stage: Stage, open_rack: Opener
) -> None:
    models = stage.directory / "models"
    text = model_text()
    for number in range(MODELS):
        (models / f"copy-{number}.json").write_text(text)
    (models / "spoilt.nam").write_text("{")
    stage.start_server()
    rack = open_rack("--rig", "net")
    rack.until_jack("running")
    rack.until_rig("net")
    sound = noise(2.0)
    passage = rack.begin(sound)
    pages = []
    for number in range(50):
        if number % 10 == 0:  # each change has the folders looked through again
            (models / f"late-{number}.json").write_text(text)
        pages.append(json.loads(str(rack.osc.ask("/ampd/models", "copy").values[0])))
    out = passage.end()[:, 0]
    assert far(out, rack.rendered("net", sound)) <= EXACT
    assert pages[-1]["words"] == "copy"

    def found(words: str) -> int:
        page = json.loads(str(rack.osc.ask("/ampd/models", words).values[0]))
        return int(page["total"]) if page["complete"] else -1

    until(lambda: found("copy") == MODELS and found("late") == 5, "all models are found")
    answer = rack.osc.ask("/ampd/models", "spoilt")
    assert "not JSON" in json.loads(str(answer.values[0]))["entries"][0]["reason"]
