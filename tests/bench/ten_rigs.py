"""Ten rigs of every kind that a player switches between, from models of the project alone.

Half of them are the shipped captures, bare and on a whole pedalboard; the others are nets of random
weights in the shapes that captures come in (models.py).
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from ampd.bank import Plan, plan_rig
from ampd.library import Library
from ampd.rig import parse_rig
from tests.bench import models
from tests.engine.conftest import MODELS

RATE_HZ = 48_000
CAB_S = 0.2
TAILS = "lead"  # the one with delay and reverb

RIGS: Mapping[str, str] = {
    "clean": "chain: [gain: {gain_db: 0}]",
    "drive": "chain: [amp: {model: ts9, level_db: 2}]",
    "champ": "chain: [amp: {model: champ, level_db: -4}]",
    "board": """
chain:
  - gate: {threshold_db: -65}
  - boost: {gain_db: 6}
  - amp: {model: champ}
  - eq: {low_cut_hz: 70, low_db: 2, peak1_db: -2, peak2_db: 1, high_db: 1.5, high_cut_hz: 9000}
  - cab: {impulse: stereo}
""",
    "lead": """
chain:
  - gate: {threshold_db: -60, hold_ms: 80, release_ms: 150}
  - amp: {model: ts9, level_db: 2}
  - amp2: {model: champ, gain_db: 3, level_db: -5}
  - cab: {high_cut_hz: 8000}
  - delay: {time_ms: 380, mix: 0.2}
  - reverb: {decay_s: 1.8, mix: 0.15}
""",
    "family": "chain: [amp: {models: {0: champ, 10: ts9}, knob: 4}]",
    "a1-standard": "chain: [amp: {model: a1-standard}]",
    "a2-8ch": "chain: [amp: {model: a2-8ch}]",
    "lstm-2x16": "chain: [amp: {model: lstm-2x16, level_db: 24}]",
    "a1-feather at 44.1 kHz": "chain: [amp: {model: feather-44k1}]",
}
RECURRENT = "lstm-2x16"


def stereo_cab(path: Path) -> None:
    """200 ms of noise that dies away, another on either side."""
    frames = int(CAB_S * RATE_HZ)
    noise = np.random.default_rng(7).standard_normal((frames, 2))
    decay = np.exp(-np.arange(frames) / (0.01 * RATE_HZ))
    soundfile.write(path, 0.1 * noise * decay[:, None], RATE_HZ, subtype="FLOAT")


def library(folder: Path) -> Library:
    """Everything that the rigs name, in an empty folder."""
    files = models.write_all(folder)
    feather = json.loads(files["a1-feather"].read_text())
    feather["sample_rate"] = 44_100
    (folder / "feather-44k1.nam").write_text(json.dumps(feather))
    for name in ("champ", "ts9"):
        (folder / f"{name}.json").write_bytes((MODELS / name / f"{name}.json").read_bytes())
    (folder / "cabs").mkdir()
    stereo_cab(folder / "cabs" / "stereo.wav")
    return Library(folder, folder)


def make(folder: Path, tails: bool = True) -> dict[str, Plan]:
    """The ten by name, their files in an empty folder; tails: whether delay and reverb are heard,
    else their mix is 0."""
    return plans_of(library(folder), RIGS if tails else without_tails())


def without_tails() -> dict[str, str]:
    """The texts of the rigs, delay and reverb not heard."""
    return {
        name: text.replace("mix: 0.2", "mix: 0").replace("mix: 0.15", "mix: 0")
        for name, text in RIGS.items()
    }


def plans_of(shelf: Library, texts: Mapping[str, str]) -> dict[str, Plan]:
    """The rigs of these texts by name."""
    return {
        name: plan_rig(shelf, parse_rig(text.encode(), name.split()[0]))
        for name, text in texts.items()
    }
