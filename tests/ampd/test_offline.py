from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ampd.bank import plan_rig
from ampd.errors import AudioFileError, EngineError
from ampd.library import Library
from ampd.offline import RenderJob, render
from tests.ampd.conftest import RATE_HZ, forward, model, write_model
from tests.bench.resampling import resample

TOLERANCE = 2e-6  # of peak: float32 against float64 over the whole net


def sound(path: Path, rate: int = RATE_HZ, channels: int = 1) -> NDArray[np.float32]:
    data = (0.1 * np.random.default_rng(5).standard_normal((3000, channels))).astype(np.float32)
    soundfile.write(path, data, rate, subtype="FLOAT")
    return data[:, 0]


def truth(signal: NDArray[np.float32]) -> NDArray[np.float64]:
    document = model()
    tensors = {name: np.array(value) for name, value in document["tensors"].items()}
    return forward(tensors, document["dilations"], signal.astype(np.float64))


@pytest.mark.parametrize("block_frames", [1, 7, 64, 4096])
def test_bare_model_renders_its_own_float64_truth(
    library: Library, tmp_path: Path, block_frames: int
) -> None:
    signal = sound(tmp_path / "in.wav")
    path = library.find_model("tiny")
    job = RenderJob(tmp_path / "in.wav", tmp_path / "out.wav", path, None, block_frames)
    done = render(job)
    out, rate = soundfile.read(tmp_path / "out.wav", dtype="float64")
    expected = truth(signal)
    assert rate == RATE_HZ
    assert soundfile.info(tmp_path / "out.wav").subtype == "FLOAT"
    assert (done.frames, done.channels) == (3000, 1)
    assert np.max(np.abs(out - expected)) <= TOLERANCE * np.max(np.abs(expected))


def test_rig_renders_gain_and_mix(library: Library, tmp_path: Path) -> None:
    signal = sound(tmp_path / "in.wav")
    plan = plan_rig(library, library.load_rig("loud"))
    done = render(RenderJob(tmp_path / "in.wav", tmp_path / "out.wav", plan=plan))
    out, _ = soundfile.read(tmp_path / "out.wav")
    level = 10 ** (-2 / 20) * (0.5 * 10 ** (12 / 20) + 0.5)
    assert done.channels == 1
    # The safety stage blocks DC in what the rig adds; noise has a little of it.
    assert np.max(np.abs(out - level * signal)) < 0.05 * np.max(np.abs(level * signal))


def test_second_channel_is_left_out_and_told(library: Library, tmp_path: Path) -> None:
    signal = sound(tmp_path / "in.wav", channels=2)
    job = RenderJob(tmp_path / "in.wav", tmp_path / "out.wav", library.find_model("tiny"))
    done = render(job)
    out, _ = soundfile.read(tmp_path / "out.wav")
    assert np.allclose(out, truth(signal), atol=1e-6)
    assert done.notes == (f"{tmp_path / 'in.wav'} has 2 channels; the first one is used.",)


def hum(frames: int, rate: int) -> NDArray[np.float64]:
    """A tone that swells and dies within the middle of the frames."""
    window = np.hanning(frames // 2)
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(len(window)) / rate) * window
    return np.pad(tone, frames // 4)


# 1e-4: the resampler's -80 dB.
def test_other_rate_is_resampled_and_the_output_lies_on_the_file(
    library: Library, tmp_path: Path
) -> None:
    signal = hum(2940 * 4, 44100)
    soundfile.write(tmp_path / "in.wav", signal, 44100, subtype="FLOAT")
    at_48k = resample(signal, 44100, RATE_HZ).astype(np.float32)
    expected = resample(truth(at_48k), RATE_HZ, 44100)
    job = RenderJob(tmp_path / "in.wav", tmp_path / "out.wav", library.find_model("tiny"))
    assert render(job).sample_rate_hz == 44100
    out, _ = soundfile.read(tmp_path / "out.wav")
    assert len(out) == len(signal)
    assert np.max(np.abs(out - expected)) <= 1e-4 * np.max(np.abs(expected))


def test_resampled_rig_lies_on_the_file(library: Library, tmp_path: Path) -> None:
    signal = hum(11760, 44100)
    soundfile.write(tmp_path / "in.wav", signal, 44100, subtype="FLOAT")
    plan = plan_rig(library, library.load_rig("drive"))
    render(RenderJob(tmp_path / "in.wav", tmp_path / "rig.wav", plan=plan))
    path = library.find_model("tiny")
    render(RenderJob(tmp_path / "in.wav", tmp_path / "bare.wav", path))
    rig, _ = soundfile.read(tmp_path / "rig.wav")
    bare, _ = soundfile.read(tmp_path / "bare.wav")
    likeness = np.correlate(rig - np.mean(rig), bare - np.mean(bare), "full")
    # The rig's 8 Hz direct-current stage moves 1 kHz by a fortieth of a frame.
    assert np.argmax(np.abs(likeness)) == len(signal) - 1


def test_models_of_two_rates_need_the_resampler(library: Library, tmp_path: Path) -> None:
    write_model(library.models_path / "other" / "other.json", sample_rate_hz=44100)
    rig = library.rigs_path / "two.yaml"
    rig.write_text("chain:\n  - amp: {model: tiny}\n  - amp2: {model: other}\n")
    sound(tmp_path / "in.wav")
    plan = plan_rig(library, library.load_rig("two"))
    job = RenderJob(tmp_path / "in.wav", tmp_path / "out.wav", plan=plan)
    assert render(job).frames == 3000
    with pytest.raises(EngineError, match=r"44100 and 48000 Hz; --no-resample needs one rate"):
        render(replace(job, resample=False))


def test_without_resampling_the_file_keeps_its_rate(library: Library, tmp_path: Path) -> None:
    signal = sound(tmp_path / "in.wav", 44100)
    path = library.find_model("tiny")
    render(RenderJob(tmp_path / "in.wav", tmp_path / "out.wav", path, resample=False))
    out, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == 44100
    assert np.allclose(out, truth(signal), atol=1e-6)
    plan = plan_rig(library, library.load_rig("drive"))
    render(RenderJob(tmp_path / "in.wav", tmp_path / "rig.wav", plan=plan, resample=False))
    assert soundfile.info(tmp_path / "rig.wav").samplerate == 44100


def test_model_of_the_files_own_rate_needs_no_option(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.json", sample_rate_hz=44100)
    sound(tmp_path / "in.wav", 44100)
    assert render(RenderJob(tmp_path / "in.wav", tmp_path / "o.wav", path)).sample_rate_hz == 44100


def test_what_is_no_sound_is_named(library: Library, tmp_path: Path) -> None:
    path = library.find_model("tiny")
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE_HZ)
    sound(tmp_path / "in.wav")
    for source, target, words in (
        ("text.wav", "out.wav", r"text\.wav: cannot be read as sound .*WAV, FLAC"),
        ("gone.wav", "out.wav", r"gone\.wav: cannot be read as sound"),
        ("empty.wav", "out.wav", r"empty\.wav: holds no sound"),
        ("in.wav", "no/out.wav", r"no/out\.wav: cannot be written"),
    ):
        with pytest.raises(AudioFileError, match=words):
            render(RenderJob(tmp_path / source, tmp_path / target, path))


def test_truncated_model_is_named(library: Library, tmp_path: Path) -> None:
    sound(tmp_path / "in.wav")
    path = tmp_path / "half.json"
    path.write_text(library.find_model("tiny").read_text()[:500])
    with pytest.raises(EngineError, match=r"half\.json"):
        render(RenderJob(tmp_path / "in.wav", tmp_path / "out.wav", path))
