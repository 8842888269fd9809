import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.conftest import make_net
from tests.trainer.reference import nam_forward, project_forward
from trainer.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from trainer.errors import ModelError, RecipeError
from trainer.export import describe, export, finished_net
from trainer.files import replace_file
from trainer.model_json import (
    SELF_TEST_TOLERANCE,
    build_model,
    read_model,
    self_test_error,
    write_model,
)
from trainer.nam import build_nam
from trainer.networks import ResidualWaveNet, reference_forward
from trainer.recipe import recipe_from_dict
from trainer.signals import riff

TARGET_GAIN = 7.3
UNITS = ("year", "month", "day", "hour", "minute", "second")


def checkpoint_of(net: ResidualWaveNet, data_input: str = "dry.wav") -> Checkpoint:
    model = {
        "name": "tiny",
        "causal": net.causal,
        "channels": net.channels,
        "dilations": list(net.dilations),
        "gear_type": "pedal",
        "licence": "MIT",
    }
    sections = {"data": {"input": data_input, "target": "wet.wav"}, "model": model}
    return Checkpoint(
        recipe=recipe_from_dict(sections, "test"),
        weights=net.state_dict(),
        target_gain=TARGET_GAIN,
        sample_rate_hz=48000,
        data_sha256={"input": "a" * 64, "target": "b" * 64},
        esr_valid=0.01,
        esr_test=0.02,
        step=9,
        finished="2026-11-22T10:11:12+00:00",
    )


def exported(net: ResidualWaveNet, folder: Path, kind: str = "all") -> list[Path]:
    save_checkpoint(checkpoint_of(net), folder / "best_model.pt")
    return export(folder / "best_model.pt", folder / "out", kind)


def content_of(net: ResidualWaveNet) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(build_model(net, 48000, {"name": "tiny"})))
    return content


def test_export_undoes_the_normalisation_of_the_target(tmp_path: Path) -> None:
    net = make_net()
    path = exported(net, tmp_path)[0]
    signal = torch.from_numpy(riff(0.05, 48000))
    found = reference_forward(read_model(path).net, signal) * TARGET_GAIN
    # Dividing the last layer rounds its weights once more: 6e-8 of each.
    assert (found - reference_forward(net, signal)).abs().max() <= 1e-6


def test_file_gives_the_weights_back_bit_by_bit(tmp_path: Path) -> None:
    net = make_net(channels=12)
    write_model(content_of(net), tmp_path / "m.json")
    again = read_model(tmp_path / "m.json").net.state_dict()
    assert all(torch.equal(again[k], v) for k, v in net.state_dict().items())


def test_file_says_what_the_definition_asks(tmp_path: Path) -> None:
    content = json.loads(exported(make_net(), tmp_path)[0].read_text())
    assert list(content) == [
        "format",
        "format_version",
        "architecture",
        "sample_rate",
        "causal",
        "channels",
        "kernel_size",
        "dilations",
        "activation",
        "tensors",
        "prewarm",
        "self_test",
        "sha256_weights",
        "metadata",
    ]
    assert len(content["self_test"]["input"]) == len(content["self_test"]["output"]) == 512
    assert 0.2 <= max(abs(v) for v in content["self_test"]["input"]) <= 0.4
    metadata = content["metadata"]
    assert metadata["date"] == dict(zip(UNITS, (2026, 11, 22, 10, 11, 12), strict=True))
    assert metadata["gear_type"] == "pedal"
    assert "gear_make" not in metadata
    assert metadata["training"]["esr_test"] == 0.02
    assert metadata["training"]["data"]["sha256_input"] == "a" * 64


def test_loudness_is_the_level_of_the_answer_to_the_riff() -> None:
    net = make_net()
    checkpoint = checkpoint_of(net)
    quiet = describe(checkpoint, finished_net(checkpoint))["loudness"]
    loud = describe(checkpoint, net)["loudness"]
    assert loud - quiet == pytest.approx(20 * np.log10(TARGET_GAIN), abs=0.002)


def test_file_keeps_no_folder_of_the_machine() -> None:
    checkpoint = checkpoint_of(make_net(), data_input="/home/somebody/dry.wav")
    text = json.dumps(describe(checkpoint, make_net()))
    assert "dry.wav" in text
    assert "somebody" not in text


@pytest.mark.parametrize("causal", [True, False])
def test_self_test_agrees_with_the_formula_in_plain_numpy(causal: bool) -> None:
    content = content_of(make_net(causal=causal))
    probe = np.array(content["self_test"]["input"])
    silence = np.zeros(64)
    found = project_forward(content, np.concatenate([silence, probe, silence]))[64:-64]
    assert np.abs(found - content["self_test"]["output"]).max() <= 1e-8  # nine digits


@pytest.mark.parametrize(
    ("channels", "dilations"), [(4, (1, 2, 4)), (8, (1, 2, 4, 8, 16)), (1, (3,))]
)
def test_nam_file_is_the_same_net(channels: int, dilations: tuple[int, ...]) -> None:
    net = make_net(channels=channels, dilations=dilations)
    content = content_of(net)
    signal = np.concatenate([np.zeros(200), riff(0.2, 48000, peak=1.0)])
    expected = project_forward(content, signal)
    found = nam_forward(build_nam(content), signal)
    # tanh(e u) / e is u to 8e-8 for |u| <= 1, and the weights are rounded to float32.
    assert np.abs(found - expected).max() <= 5e-6 * np.abs(expected).max()


def test_nam_file_is_of_the_version_that_every_host_reads() -> None:
    nam = build_nam(content_of(make_net()))
    assert nam["version"] == "0.5.4"
    assert nam["architecture"] == "WaveNet"
    keys = {"input_size", "condition_size", "head_size", "channels", "kernel_size", "dilations"}
    for layer in nam["config"]["layers"]:
        assert set(layer) == keys | {"activation", "gated", "head_bias"}
    assert nam["weights"][-1] == nam["config"]["head_scale"] == 1.0
    assert nam["metadata"]["ampd"]["format"] == "ampd-model"


def test_centred_net_has_no_nam_file_and_the_error_says_why(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not causal.*\.nam cannot hold it"):
        exported(make_net(causal=False), tmp_path, "nam")
    assert [p.name for p in exported(make_net(causal=False), tmp_path)] == ["tiny.json"]
    assert not (tmp_path / "out" / "tiny.nam").exists()


def test_causal_net_has_both_files(tmp_path: Path) -> None:
    assert [p.name for p in exported(make_net(), tmp_path)] == ["tiny.json", "tiny.nam"]


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    net = make_net()
    net.output.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="not finite"):
        exported(net, tmp_path)
    assert not (tmp_path / "out" / "tiny.json").exists()


def test_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelError, match="No space left"):
        replace_file(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_is_no_folder_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ModelError, match="cannot be written"):
        exported(make_net(), tmp_path)


def test_self_test_catches_a_wrong_answer(tmp_path: Path) -> None:
    content = content_of(make_net())
    write_model(content, tmp_path / "m.json")
    assert self_test_error(read_model(tmp_path / "m.json")) <= SELF_TEST_TOLERANCE
    content["self_test"]["output"][400] += 1e-4
    write_model(content, tmp_path / "m.json")
    assert self_test_error(read_model(tmp_path / "m.json")) > SELF_TEST_TOLERANCE


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format", "nam", "format"),
        ("format_version", 2, "format_version: found 2, expected 1"),
        ("architecture", "lstm", "architecture: found lstm"),
        ("activation", "relu", "activation"),
        ("prewarm", None, "prewarm"),
        ("sample_rate", 0, "sample_rate: found 0, expected 8000 to 768000"),
        ("sample_rate", 48000.5, "sample_rate"),
        ("causal", 1, "causal: found 1, expected true or false"),
        ("channels", 10**9, "channels"),
        ("kernel_size", True, "kernel_size"),
        ("dilations", [], "dilations"),
        ("dilations", [1, 2, -4], "dilations"),
        ("dilations", [1, 2, 240_000], "field of at most 480000 frames"),
        ("dilations", [1] * 256, "tensors: found"),
        ("dilations", [1, 2], "tensors: found"),
        ("channels", 5, "tensors.input.weight: found 4, expected 5 numbers"),
        ("tensors", {}, "tensors"),
        ("self_test", None, "self_test"),
        ("self_test", {"input": [0.0], "output": []}, "self_test"),
        ("sha256_weights", "0" * 64, "sha256_weights"),
    ],
)
def test_reader_refuses_what_the_definition_refuses(
    tmp_path: Path, key: str, value: object, words: str
) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**content_of(make_net()), key: value}))
    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("bad", ["NaN", "1e999", '"1"', "null", "true"])
def test_reader_refuses_numbers_that_are_none(tmp_path: Path, bad: str) -> None:
    content = content_of(make_net())
    content["tensors"]["output.bias"] = ["?"]
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content).replace('"?"', bad))
    with pytest.raises(ModelError, match=r"tensors\.output\.bias.*finite numbers"):
        read_model(path)


def test_reader_takes_tensors_in_any_order_but_no_key_twice(tmp_path: Path) -> None:
    content = content_of(make_net())
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content, sort_keys=True))
    assert self_test_error(read_model(path)) <= SELF_TEST_TOLERANCE
    path.write_text(json.dumps(content).replace('"causal"', '"causal": true, "causal"'))
    with pytest.raises(ModelError, match="'causal' stands twice"):
        read_model(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_reader_refuses_what_is_no_model(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"m\.json"):
        read_model(path)


def test_file_says_what_the_doctor_said_and_no_folder(tmp_path: Path) -> None:
    finding = {"code": "lag", "severity": "warning", "size": 3.0, "unit": "frames"}
    doctor = {
        "findings": [{**finding, "text": "wet.wav: 3 frames late: removed", "fixed": True}],
        "measures": {"repeat": {"self_esr": 0.002}},
    }
    checkpoint = dataclasses.replace(checkpoint_of(make_net()), doctor=doctor)
    save_checkpoint(checkpoint, tmp_path / "best_model.pt")
    paths = export(tmp_path / "best_model.pt", tmp_path)
    own, nam = (json.loads(path.read_text())["metadata"] for path in paths)
    for training in (own["training"], nam["ampd"]["training"]):
        assert training["checks"] == [{"code": "lag", "text": "wet.wav: 3 frames late: removed"}]
        assert training["self_esr"] == 0.002


def test_file_tells_a_healthy_pair_from_one_that_nobody_looked_at() -> None:
    looked = dataclasses.replace(checkpoint_of(make_net()), doctor={"findings": [], "measures": {}})
    assert describe(looked, make_net())["training"]["checks"] == []
    assert "checks" not in describe(checkpoint_of(make_net()), make_net())["training"]


def test_checkpoint_of_an_older_version_is_still_read(tmp_path: Path) -> None:
    save_checkpoint(checkpoint_of(make_net()), tmp_path / "best_model.pt")
    plain = torch.load(tmp_path / "best_model.pt", weights_only=True)
    del plain["doctor"]
    torch.save(plain, tmp_path / "best_model.pt")
    assert load_checkpoint(tmp_path / "best_model.pt").doctor is None


def test_analog_levels_stand_where_nam_hosts_look_for_them(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(make_net())
    model = dataclasses.replace(checkpoint.recipe.model, input_level_dbu=12.5, output_level_dbu=-3)
    recipe = dataclasses.replace(checkpoint.recipe, model=model)
    save_checkpoint(dataclasses.replace(checkpoint, recipe=recipe), tmp_path / "best_model.pt")
    for path in export(tmp_path / "best_model.pt", tmp_path):
        metadata = json.loads(path.read_text())["metadata"]
        assert (metadata["input_level_dbu"], metadata["output_level_dbu"]) == (12.5, -3)


def test_analog_level_out_of_range_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"input_level_dbu: found 400\.0, expected -60 to 60"):
        recipe_from_dict({"model": {"input_level_dbu": 400}}, "test")
