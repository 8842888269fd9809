"""A rig that is set to do nothing gives the guitar back, bit for bit or 120 dB under it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ampd.bank import plan_rig
from ampd.library import Library
from ampd.rack import Engine, build
from ampd.rehearsal import settle
from ampd.rig import parse_rig
from tests.bench import ten_rigs

BLOCK = 64
NULL_DB = -120.0

BYPASSED: Mapping[str, str] = {
    "gate": "gate: {threshold_db: -30, bypass: true}",
    "gain": "gain: {gain_db: 12, bypass: true}",
    "boost": "boost: {gain_db: 12, bypass: true}",
    "amp": "amp: {model: champ, gain_db: 12, bypass: true}",
    "eq": "eq: {low_cut_hz: 200, low_db: 6, peak1_db: 6, high_cut_hz: 3000, bypass: true}",
    "cab": "cab: {bypass: true}",
    "stereo cab": "cab: {impulse: stereo, bypass: true}",
    "delay": "delay: {bypass: true}",
    "reverb": "reverb: {bypass: true}",
}
NEUTRAL: Mapping[str, str] = {
    "gate": "gate: {threshold_db: -100}",
    "gain": "gain: {gain_db: 0}",
    "boost": "boost: {gain_db: 0}",
    "amp": "amp: {model: champ, mix: 0}",
    "eq": "eq: {}",
    "cab": "cab: {impulse: stereo, mix: 0}",
    "delay": "delay: {mix: 0}",
    "reverb": "reverb: {mix: 0}",
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return ten_rigs.library(tmp_path_factory.mktemp("models"))


def residue_db(shelf: Library, text: str, signal: NDArray[np.float32]) -> float:
    """What is not the guitar, RMS below it, the latency cut; -inf: bit for bit."""
    engine = Engine(48000, threaded=False)
    built = build(engine, 0, plan_rig(shelf, parse_rig(text.encode(), "rig", Path("rig.yaml"))))
    settle(engine)
    tail = np.zeros(built.latency_frames, np.float32)
    heard = engine.process(np.concatenate([signal, tail]), BLOCK)[:, built.latency_frames :]
    off = float(np.sqrt(np.mean((heard.astype(float) - signal) ** 2)))
    return -np.inf if off == 0 else 20 * np.log10(off / float(np.sqrt(np.mean(signal**2))))


def chain(*blocks: str) -> str:
    return "chain: [" + ", ".join(f"{{{block}}}" for block in blocks) + "]"


@pytest.mark.parametrize("block", BYPASSED)
def test_a_bypassed_block_is_not_there(
    shelf: Library, block: str, guitar: NDArray[np.float32]
) -> None:
    assert residue_db(shelf, chain(BYPASSED[block]), guitar) == -np.inf


@pytest.mark.parametrize("block", NEUTRAL)
def test_a_block_at_its_neutral_setting_does_nothing(
    shelf: Library, block: str, guitar: NDArray[np.float32]
) -> None:
    assert residue_db(shelf, chain(NEUTRAL[block]), guitar) == -np.inf


def numbered(blocks: Mapping[str, str]) -> list[str]:
    """All of them in one chain, the second cab by another name."""
    texts = dict(blocks)
    if "stereo cab" in texts:
        texts["stereo cab"] = texts["stereo cab"].replace("cab:", "cab2:", 1)
    return list(texts.values())


def test_a_whole_board_bypassed_is_the_guitar(shelf: Library, guitar: NDArray[np.float32]) -> None:
    assert residue_db(shelf, chain(*numbered(BYPASSED)), guitar) == -np.inf


def test_mix_0_is_the_guitar(shelf: Library, guitar: NDArray[np.float32]) -> None:
    text = chain("gate: {}", "amp: {model: champ}", "cab: {}", "reverb: {}") + "\nmix: 0"
    assert residue_db(shelf, text, guitar) == -np.inf


def test_a_clean_rig_at_0_db_is_the_guitar(shelf: Library, guitar: NDArray[np.float32]) -> None:
    assert residue_db(shelf, "input: {gain_db: 0}\noutput: {gain_db: 0}", guitar) == -np.inf


@pytest.mark.parametrize("how", ["bypass: true", "mix: 0"])
def test_a_resampled_amp_that_is_off_is_the_guitar_later(
    shelf: Library, how: str, guitar: NDArray[np.float32]
) -> None:
    assert residue_db(shelf, chain(f"amp: {{model: feather-44k1, {how}}}"), guitar) == -np.inf


# The other way round: the residue is measured, and a rig that does something has one.
def test_a_rig_that_plays_is_no_null(shelf: Library, guitar: NDArray[np.float32]) -> None:
    assert residue_db(shelf, chain("gain: {gain_db: 0.00001}"), guitar) > NULL_DB - 1
    assert residue_db(shelf, chain("amp: {model: champ}"), guitar) > -20
