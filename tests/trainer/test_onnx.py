import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from tests.trainer.conftest import RATE_HZ, make_net, write_wav
from tests.trainer.test_export import checkpoint_of, exported
from trainer.architectures import build_network
from trainer.checkpoint import save_checkpoint
from trainer.cli import main
from trainer.errors import ModelError
from trainer.export import export, read_any_model
from trainer.model_json import weights_sha256
from trainer.networks import Network, reference_forward
from trainer.recipe import ModelConfig
from trainer.signals import riff

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is absent")
onnx_file = pytest.importorskip("trainer.onnx_file", reason="the extra onnx is absent")

ROOT = Path(__file__).parents[2]
SHAPES: dict[str, dict[str, Any]] = {
    "causal": {"channels": 4, "dilations": (1, 2, 64)},
    "centred": {"channels": 4, "dilations": (1, 2, 64), "causal": False},
    "without memory": {"channels": 4, "kernel_size": 1, "dilations": (1, 1)},
    "a1": {
        "architecture": "nam_a1",
        "channels": 4,
        "dilations": (1, 8, 1, 8),
        "first_array_layers": 2,
    },
    "a2": {"architecture": "nam_a2", "channels": 3},
    "lstm": {"architecture": "lstm", "channels": 5, "layers": 2, "warm_up_frames": 64},
}
SIGNAL = riff(0.15, RATE_HZ)


def net_of(shape: str) -> Network:
    torch.manual_seed(5)
    return build_network(ModelConfig(**SHAPES[shape])).requires_grad_(False)


def session_of(data: bytes) -> Any:
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def answer_of(net: Network, signal: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = reference_forward(net, torch.from_numpy(signal)).numpy()
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_graph_plays_what_the_net_plays_whole_and_in_chunks(shape: str) -> None:
    net = net_of(shape)
    session = session_of(onnx_file.build_onnx(net, RATE_HZ, {}))
    late, expected = net.after_frames, answer_of(net, SIGNAL)
    ahead = np.concatenate([SIGNAL, np.zeros(late)]).astype(np.float32)
    for chunks in ([len(ahead)], [1, 2, 700, 64]):
        found = onnx_file.play(session, ahead, chunks)[late:]
        # float32 against float64, as every loader; an LSTM's rounding adds up over the frames.
        limit = 1e-4 if shape == "lstm" else 1e-5
        assert np.abs(found - expected).max() <= limit * np.abs(expected).max()


@pytest.mark.parametrize("shape", ["causal", "lstm"])
def test_empty_past_is_silence_and_no_zeros(shape: str) -> None:
    net = net_of(shape)
    session = session_of(onnx_file.build_onnx(net, RATE_HZ, {}))
    silence, size = np.zeros((1, 1, 64), np.float32), session.get_inputs()[1].shape[1]
    empty, zeros = (
        session.run(["output"], {"input": silence, "past": np.zeros((rows, size), np.float32)})[0]
        for rows in (0, 1)
    )
    steady = answer_of(net, np.zeros(64))
    assert np.abs(empty[0, 0] - steady).max() <= 1e-6
    assert np.abs(zeros[0, 0] - steady).max() > 1e-3


def test_check_refuses_a_graph_of_other_weights() -> None:
    data = onnx_file.build_onnx(make_net(seed=1), RATE_HZ, {})
    assert onnx_file.check(data, make_net(seed=1), RATE_HZ, "m.onnx") <= 1e-5
    with pytest.raises(ModelError, match=r"m\.onnx: onnxruntime differs .* not written"):
        onnx_file.check(data, make_net(seed=2), RATE_HZ, "m.onnx")


def test_graph_that_is_not_proved_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "TOLERANCE", 0.0)
    with pytest.raises(ModelError, match="onnxruntime differs"):
        exported(make_net(), tmp_path, "onnx")
    assert not (tmp_path / "out" / "tiny.onnx").exists()


def test_file_says_its_rate_its_latency_and_proves_itself(tmp_path: Path) -> None:
    net = make_net(causal=False)
    path = exported(net, tmp_path, "onnx")[0]
    session = session_of(path.read_bytes())
    facts = session.get_modelmeta().custom_metadata_map
    assert (facts["name"], facts["sample_rate"]) == ("tiny", "48000")
    assert int(facts["latency_frames"]) == net.after_frames == 7
    assert facts["sha256_weights"] == weights_sha256(read_any_model(tmp_path / "best_model.pt").net)
    metadata = json.loads(facts["metadata"])
    assert (metadata["gear_type"], metadata["licence"]) == ("pedal", "MIT")
    assert metadata["training"]["esr_test"] == 0.02
    test = json.loads(facts["self_test"])
    ahead = np.concatenate([test["input"], np.zeros(7)]).astype(np.float32)
    found = onnx_file.play(session, ahead, [len(ahead)])[7:]
    assert np.abs(found - test["output"]).max() <= 1e-5 * np.abs(test["output"]).max()


def test_example_of_the_readme_plays_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "models" / "README.md").read_text(), re.S)
    assert code is not None
    net = make_net()
    (tmp_path / "plexi.onnx").write_bytes(onnx_file.build_onnx(net, RATE_HZ, {}))
    write_wav(tmp_path / "di.wav", SIGNAL)
    monkeypatch.chdir(tmp_path)
    pieces: list[NDArray[np.float32]] = []
    names = {"numpy": np, "onnxruntime": onnxruntime, "soundfile": soundfile}
    exec(code[1], {**names, "write": pieces.append})  # what a reader would run
    expected = answer_of(net, SIGNAL)
    assert np.abs(np.concatenate(pieces) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_model_files_are_sources_too(tmp_path: Path) -> None:
    own, nam = exported(make_net(), tmp_path)
    written = export(own, tmp_path / "again", "nam")[0]
    assert written.read_bytes() == nam.read_bytes()
    assert export(own, None, "onnx") == [own.with_suffix(".onnx")]
    facts = session_of(own.with_suffix(".onnx").read_bytes()).get_modelmeta().custom_metadata_map
    assert json.loads(facts["metadata"]) == json.loads(own.read_text())["metadata"]
    export(nam, tmp_path / "of_nam", "onnx")
    facts = session_of((tmp_path / "of_nam" / "tiny.onnx").read_bytes()).get_modelmeta()
    assert json.loads(facts.custom_metadata_map["metadata"])["licence"] == "MIT"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("tiny.json", "all", "expected a best_model.pt for --format all"),
        ("tiny.json", "json", "name another kind of file with --format: onnx, nam"),
        ("tiny.nam", "nam", "name another kind of file with --format: onnx"),
        ("tiny.nam", "json", "alone has a .json"),
    ],
)
def test_source_that_cannot_be_asked_for_that_is_refused(
    tmp_path: Path, name: str, kind: str, words: str
) -> None:
    exported(make_net(), tmp_path)
    with pytest.raises(ModelError) as caught:
        export(tmp_path / "out" / name, None, kind)
    assert words in str(caught.value)


def test_missing_package_is_named_with_the_way_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "trainer.onnx_file")
    monkeypatch.delattr("trainer.onnx_file")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"onnxruntime is missing.*pip install 'ampd\[onnx\]'"):
        exported(make_net(), tmp_path, "onnx")


def test_export_all_goes_on_after_a_run_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    save_checkpoint(checkpoint_of(make_net()), runs / "a" / "best_model.pt")
    (runs / "b").mkdir()
    (runs / "b" / "best_model.pt").write_bytes(b"cut off")
    save_checkpoint(checkpoint_of(make_net(causal=False)), runs / "c" / "best_model.pt")
    out = tmp_path / "out"
    assert main(["export-all", str(runs), "--out", str(out)]) == 4
    output = capsys.readouterr().out
    assert "tiny.json, tiny.nam" in output
    assert "0.02000" in output
    assert f"failed: {runs / 'b' / 'best_model.pt'}: found something else" in output
    (runs / "b" / "best_model.pt").unlink()
    assert main(["export-all", str(runs), "--out", str(out), "--format", "onnx"]) == 0
    assert (out / "tiny" / "tiny.onnx").is_file()


def test_folder_without_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-all", str(tmp_path)]) == 4
    assert "found no best_model.pt" in capsys.readouterr().err
