import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from numpy.typing import NDArray

from tests.trainer.conftest import RATE_HZ, make_net, write_wav
from tests.trainer.test_export import checkpoint_of
from trainer.architectures import build_network
from trainer.checkpoint import save_checkpoint
from trainer.cli import main
from trainer.errors import DataError, ModelError, TrainingError
from trainer.export import export
from trainer.model_json import build_model, write_model
from trainer.nam_nets import build_nam_net
from trainer.networks import Network, ResidualWaveNet, reference_forward
from trainer.networks_nam import Lstm, NamWaveNet
from trainer.playback import TILE_FRAMES, play_file
from trainer.recipe import ModelConfig
from trainer.signals import riff

CHUNKS = (None, 1000, TILE_FRAMES, 65536)
NETS = {
    "causal": {"channels": 4, "dilations": (1, 2, 4, 256)},
    "centred": {"channels": 4, "dilations": (1, 2, 4, 256), "causal": False},
    "a2": {"architecture": "nam_a2", "channels": 3},
    "lstm": {"architecture": "lstm", "channels": 4, "warm_up_frames": 64},
}


def saved(folder: Path, kind: str = "causal", rate_hz: int = RATE_HZ) -> tuple[Path, Network]:
    """A model file with first weights of a seed, and its net."""
    torch.manual_seed(3)
    net = build_network(ModelConfig(**NETS[kind])).requires_grad_(False)  # type: ignore[arg-type]
    if isinstance(net, ResidualWaveNet):
        path, content = folder / f"{kind}.json", build_model(net, rate_hz, {})
    else:
        assert isinstance(net, NamWaveNet | Lstm)
        path, content = folder / f"{kind}.nam", build_nam_net(net, rate_hz, {})
    write_model(content, path)
    return path, net


def take(folder: Path, seconds: float = 1.1, rate_hz: int = RATE_HZ) -> Path:
    return write_wav(folder / f"di{rate_hz}.wav", riff(seconds, rate_hz), rate_hz)


def samples(path: Path) -> NDArray[np.float64]:
    found: NDArray[np.float64] = soundfile.read(path, always_2d=True)[0]
    return found


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        *((kind, "wav") for kind in NETS),
        ("causal", "flac"),
        *(pytest.param(kind, "flac", marks=pytest.mark.long) for kind in NETS if kind != "causal"),
    ],
)
def test_whole_chunked_and_streaming_write_the_same_bytes(
    tmp_path: Path, kind: str, ending: str
) -> None:
    model, _ = saved(tmp_path, kind)
    files = []
    for chunk in CHUNKS:
        play_file(model, take(tmp_path), tmp_path / f"{chunk}.{ending}", chunk)
        files.append((tmp_path / f"{chunk}.{ending}").read_bytes())
    assert all(file == files[0] for file in files)


def test_chunks_of_one_frame_and_resampling_write_the_same_bytes_too(tmp_path: Path) -> None:
    model, source = saved(tmp_path, "centred")[0], take(tmp_path, 0.4, 44100)
    for name, chunk in (("whole", None), ("one", 1)):
        play_file(model, source, tmp_path / f"{name}.wav", chunk)
    assert (tmp_path / "whole.wav").read_bytes() == (tmp_path / "one.wav").read_bytes()


@pytest.mark.parametrize("kind", NETS)
def test_file_holds_the_answer_of_the_net_and_lies_on_the_input(tmp_path: Path, kind: str) -> None:
    model, net = saved(tmp_path, kind)
    source = take(tmp_path)
    played = play_file(model, source, tmp_path / "out.wav", 500)
    expected = reference_forward(net, torch.from_numpy(samples(source)[:, 0])).numpy()
    found = samples(tmp_path / "out.wav")[:, 0]
    assert len(found) == played.frames == len(expected)
    # float32 against float64, as the design asks of every implementation.
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()
    assert played.peak == pytest.approx(np.abs(found).max())


def test_wav_says_nothing_of_the_time_it_was_written(tmp_path: Path) -> None:
    play_file(saved(tmp_path)[0], take(tmp_path, 0.1), tmp_path / "out.wav")
    header = (tmp_path / "out.wav").read_bytes()[:256]
    version, seconds, peak = struct.unpack_from("<IIf", header, header.index(b"PEAK") + 8)
    assert (version, seconds) == (1, 0)
    assert peak == pytest.approx(np.abs(samples(tmp_path / "out.wav")).max())


def test_other_rate_is_resampled_there_and_back_and_said(tmp_path: Path) -> None:
    model, net = saved(tmp_path)
    source = take(tmp_path, 1.0, 44100)
    played = play_file(model, source, tmp_path / "out.wav")
    there = soxr.resample(samples(source)[:, 0], 44100, RATE_HZ, quality="VHQ")
    answer = reference_forward(net, torch.from_numpy(there)).numpy()
    expected = soxr.resample(answer, RATE_HZ, 44100, quality="VHQ")
    found = samples(tmp_path / "out.wav")[:, 0]
    assert (len(found), played.sample_rate_hz) == (44100, 44100)
    # float32 twice through a filter of some thousand taps, against float64.
    assert np.abs(found - expected[:44100]).max() <= 5e-6 * np.abs(expected).max()
    assert "44100 Hz where the model is for 48000 Hz: resampled" in played.notes[0]


def test_each_channel_goes_through_an_amp_of_its_own(tmp_path: Path) -> None:
    model, net = saved(tmp_path)
    left, right = riff(0.5, RATE_HZ), riff(0.5, RATE_HZ, seed=2)
    source = write_wav(tmp_path / "stereo.wav", np.stack([left, right], 1))
    played = play_file(model, source, tmp_path / "out.wav")
    found = samples(tmp_path / "out.wav")
    for side, signal in enumerate((left, right)):
        expected = reference_forward(net, torch.from_numpy(signal)).numpy()
        assert np.abs(found[:, side] - expected).max() <= 2e-6 * np.abs(expected).max()
    assert "2 channels" in played.notes[0]


def test_flac_says_what_it_had_to_clip(tmp_path: Path) -> None:
    net = make_net()
    net.output.weight.mul_(50)
    write_model(build_model(net, RATE_HZ, {}), tmp_path / "loud.json")
    source = take(tmp_path, 0.2)
    loud = play_file(tmp_path / "loud.json", source, tmp_path / "out.wav")
    over = np.abs(samples(tmp_path / "out.wav")) > 1
    assert over.any()
    assert not loud.notes
    clipped = play_file(tmp_path / "loud.json", source, tmp_path / "out.flac")
    assert clipped.clipped_frames == over.sum()
    assert "write a .wav" in clipped.notes[0]
    assert np.abs(samples(tmp_path / "out.flac")).max() <= 1


def test_checkpoint_json_and_nam_of_one_run_give_one_sound(tmp_path: Path) -> None:
    save_checkpoint(checkpoint_of(make_net()), tmp_path / "best_model.pt")
    files = [tmp_path / "best_model.pt", *export(tmp_path / "best_model.pt", tmp_path)]
    for path in files:
        play_file(path, take(tmp_path, 0.3), tmp_path / f"{path.suffix[1:]}.wav")
    assert (tmp_path / "pt.wav").read_bytes() == (tmp_path / "json.wav").read_bytes()
    difference = samples(tmp_path / "pt.wav") - samples(tmp_path / "nam.wav")
    assert np.abs(difference).max() <= 5e-6 * np.abs(samples(tmp_path / "pt.wav")).max()


def test_bad_recording_keeps_the_old_file_and_names_the_frame(tmp_path: Path) -> None:
    model, dry = saved(tmp_path)[0], riff(0.5, RATE_HZ)
    dry[20_000] = np.nan
    source, target = write_wav(tmp_path / "bad.wav", dry), tmp_path / "out.wav"
    target.write_bytes(b"old")
    with pytest.raises(DataError, match="frame 20000: found a value that is not finite"):
        play_file(model, source, target, 700)
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("di48000.wav", "out.mp3", "expected .wav .* or .flac"),
        ("di48000.wav", "di48000.wav", "is the recording itself"),
        ("none.wav", "out.wav", "no such file"),
        ("text.wav", "out.wav", "cannot be read as WAV"),
    ],
)
def test_impossible_files_are_refused_in_words(
    tmp_path: Path, source: str, target: str, words: str
) -> None:
    take(tmp_path, 0.1)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(DataError, match=words):
        play_file(saved(tmp_path)[0], tmp_path / source, tmp_path / target)
    assert not (tmp_path / "out.wav").exists()


def test_model_that_fails_its_own_test_is_not_played(tmp_path: Path) -> None:
    model, net = saved(tmp_path)
    assert isinstance(net, ResidualWaveNet)
    content = build_model(net, RATE_HZ, {})
    content["self_test"]["output"][100] += 0.01
    write_model(content, model)
    with pytest.raises(ModelError, match="self_test"):
        play_file(model, take(tmp_path, 0.1), tmp_path / "out.wav")


def test_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--device: found 'quantum'"):
        play_file(saved(tmp_path)[0], take(tmp_path, 0.1), tmp_path / "o.wav", device="quantum")


def test_command_says_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, source = saved(tmp_path)[0], take(tmp_path, 0.5, 44100)
    assert main(["render", str(model), str(source), "out.wav", "--streaming"]) == 0
    output = capsys.readouterr().out
    assert "note: 44100 Hz where the model is for 48000 Hz" in output
    assert "wrote out.wav: 0.50 s at 44100 Hz" in output
