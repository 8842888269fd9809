"""The models that the figures speak of are what they are called."""

import json
from pathlib import Path

import numpy as np
import pytest

from ampd import _engine
from tests.bench import models

# As published for A1 and A2; the others counted by hand from their shapes.
WEIGHTS = {
    "a1-standard": 13802,
    "a1-lite": 6554,
    "a1-feather": 3026,
    "a1-nano": 842,
    "a2-8ch": 12146,
    "a2-3ch": 1871,
    "residual-16x6": 16 + 16 + 6 * (16 * 16 * 3 + 16) + 16 + 1,
}
MACS = {
    "lstm-1x16": 64 * (1 + 16) + 16,
    "lstm-2x16": 64 * (1 + 16) + 64 * (16 + 16) + 16,
    "gru-h24": 72 * (1 + 24) + 24,
}
FIELDS = {"a1-standard": 4093, "a2-8ch": 6347, "a2-3ch": 6347, "residual-16x6": 127}


def test_every_model_of_the_bench_has_the_size_its_name_says(tmp_path: Path) -> None:
    files = models.write_all(tmp_path)
    found = {name: _engine.inspect_model(str(path)) for name, path in files.items()}
    assert found.keys() == {*WEIGHTS, *MACS}
    assert {name: found[name].weight_count for name in WEIGHTS} == WEIGHTS
    assert {name: found[name].mac_per_sample for name in MACS} == MACS
    for name, frames in FIELDS.items():
        assert found[name].receptive_field_frames == frames


def test_onnx_twin_plays_the_same_net_as_the_engine(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is absent")
    from tests.bench.onnx_twin import Twin  # noqa: PLC0415

    path = models.write_all(tmp_path)["residual-16x6"]
    signal = (0.3 * np.random.default_rng(1).standard_normal(1024)).astype(np.float32)
    ours = _engine.render_model(str(path), signal)
    twin = Twin(json.loads(path.read_text()), 64).play(signal)
    # Zero histories are not silence: they agree once the field of 127 frames has passed; float32.
    assert np.abs(twin - ours)[127:].max() <= 1e-5 * np.abs(ours).max()
