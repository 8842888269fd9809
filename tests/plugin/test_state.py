"""What a project keeps: the sound, on a machine that never had the file; and damage."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.plugin.hosts import ROOT, Signal, Vst3, play
from tests.plugin.project import (
    frame,
    from_base64,
    model_state,
    seal,
    text_of,
    to_base64,
    unframe,
)

CHAMP = ROOT / "models" / "champ" / "champ.json"


def test_codec_of_juce_goes_both_ways() -> None:
    for size in (0, 1, 2, 3, 7, 100):
        data = bytes(range(size))
        assert from_base64(to_base64(data)) == data


def test_project_opens_with_its_sound_where_the_file_is_gone(
    load: Callable[[], Vst3], guitar: Signal, tmp_path: Path
) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    model = folder / "mödel b.json"
    shutil.copy(CHAMP, model)
    plugin = load()
    plugin.raw_state = frame(model_state(model, input_gain=3.0, gate_threshold=-70.0))
    before = play(plugin, guitar[None], 48000)
    kept = plugin.raw_state
    model.unlink()
    (tmp_path / "captures").rename(tmp_path / "moved")
    again = load()
    again.raw_state = kept
    np.testing.assert_array_equal(play(again, guitar[None], 48000), before)
    text = text_of(unframe(again.raw_state))
    assert text["parts"][1]["files"][0]["name"] == "mödel b.json"
    assert text["values"]["input_gain"] == 3.0


def test_saving_what_was_opened_gives_the_same_bytes(load: Callable[[], Vst3]) -> None:
    plugin = load()
    plugin.raw_state = frame(model_state(CHAMP, mix=0.5))
    kept = plugin.raw_state
    again = load()
    again.raw_state = kept
    assert again.raw_state == kept


def test_instances_do_not_share_their_sound(load: Callable[[], Vst3], guitar: Signal) -> None:
    one, other = load(), load()
    one.raw_state = frame(model_state(CHAMP))
    np.testing.assert_array_equal(play(other, guitar[None], 48000)[0], guitar)
    assert np.abs(play(one, guitar[None], 48000)[0] - guitar).max() > 0.01


@pytest.mark.parametrize("damage", ["cut", "newer", "flipped", "garbage", "other plugin's"])
def test_damaged_state_is_a_clean_bypass(
    load: Callable[[], Vst3], guitar: Signal, damage: str
) -> None:
    good = model_state(CHAMP, input_gain=20.0)
    flipped = bytearray(good)
    flipped[len(good) - 1000] ^= 1
    bad = {
        "cut": good[: len(good) // 2],
        "newer": struct.pack("<I", 2) + good[4:],
        "flipped": bytes(flipped),
        "garbage": bytes(range(256)) * 20,
        "other plugin's": seal(b'{"parts": 1}', []),
    }[damage]
    plugin = load()
    plugin.raw_state = frame(bad)
    np.testing.assert_array_equal(play(plugin, guitar[None], 48000)[0], guitar)
