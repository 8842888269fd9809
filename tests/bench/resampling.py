"""A model of another rate than the host's: how far from a perfect resampler, how late, how dear.

    python -m tests.bench.resampling

One JSON line for each host and model rate.  The guitar is ../shared/captures/di.flac where that is
present, else the project's own part.
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampd import _engine
from tests.demo.guitar import make
from tests.engine.conftest import MODELS, SHARED, TEST_START

Wave = NDArray[np.float64]

HOST_RATES_HZ = (44100, 48000, 88200, 96000, 192000)
MODEL_RATES_HZ = (44100, 48000, 96000)
GUITAR_HZ = 48000
GUITAR_FRAMES = 3 * GUITAR_HZ
MARGIN_FRAMES = GUITAR_HZ // 4  # of silence at both ends: a Fourier series comes round
FADE_FRAMES = 480
LOW_HZ, HIGH_HZ = 20.0, 18000.0
LIMIT_DB, LIMIT_MS = -80.0, 1.5
COST_FRAMES, COST_ROUNDS = 4096, 60


def resample(signal: Wave, rate_hz: int, new_rate_hz: int) -> Wave:
    """The perfect resampler, by its Fourier series; the length must be whole at both rates."""
    length = len(signal) * new_rate_hz // rate_hz
    assert length * rate_hz == len(signal) * new_rate_hz
    spectrum = np.fft.rfft(signal)[: length // 2 + 1]
    spectrum = np.pad(spectrum, (0, length // 2 + 1 - len(spectrum)))
    return np.fft.irfft(spectrum, length) * (length / len(signal))


def in_band(signal: Wave, rate_hz: int) -> Wave:
    """What of the signal lies between 20 Hz and 18 kHz."""
    spectrum = np.fft.rfft(signal)
    at_hz = np.fft.rfftfreq(len(signal), 1 / rate_hz)
    spectrum[(at_hz < LOW_HZ) | (at_hz > HIGH_HZ)] = 0
    return np.fft.irfft(spectrum, len(signal))


def error_db(found: Wave, expected: Wave, rate_hz: int) -> float:
    """Power of the difference over that of `expected`, 20 Hz to 18 kHz."""
    wrong = np.sum(in_band(found - expected, rate_hz) ** 2)
    return float(10 * np.log10(wrong / np.sum(in_band(expected, rate_hz) ** 2)))


def at_rate(model: Path, rate_hz: int, folder: Path) -> str:
    """A copy of a native model that says it was made for `rate_hz`."""
    document = json.loads(model.read_text())
    document["sample_rate"] = rate_hz
    copy = folder / f"{model.stem}-{rate_hz}.json"
    copy.write_text(json.dumps(document))
    return str(copy)


def straight_wire(rate_hz: int, folder: Path) -> str:
    """A model that changes nothing, made for `rate_hz`."""
    path = folder / f"wire-{rate_hz}.nam"
    config = {"receptive_field": 1, "bias": False}
    document = {"version": "0.5.4", "architecture": "Linear", "config": config, "weights": [1.0]}
    path.write_text(json.dumps({**document, "sample_rate": rate_hz}))
    return str(path)


def guitar() -> tuple[Wave, str]:
    """(frames,) at 48 kHz with silence at both ends, and what it is."""
    path = SHARED / "captures" / "di.flac"
    if not path.exists():
        return guitar_with_silence(make()[:GUITAR_FRAMES]), "own guitar part"
    part, _ = soundfile.read(path, dtype="float32", start=TEST_START, frames=GUITAR_FRAMES)
    return guitar_with_silence(part), "di.flac"


def guitar_with_silence(part: NDArray[np.float32]) -> Wave:
    """The part faded in and out, with room at both ends."""
    fade = np.minimum(1, np.arange(len(part)) / FADE_FRAMES)
    return np.pad(part * fade * fade[::-1], MARGIN_FRAMES)


def white() -> Wave:
    """Noise from 20 Hz to 18 kHz at 48 kHz, with silence at both ends but for what the band's
    edges ring."""
    noise = 0.1 * np.random.default_rng(1).standard_normal(GUITAR_HZ // 4)
    return in_band(guitar_with_silence(noise.astype(np.float32)), GUITAR_HZ)


def compare(model: str, model_rate_hz: int, host_rate_hz: int, sound: Wave) -> float:
    """Error of the engine at the host's rate against a perfect resample of the result at the
    model's. sound: at 48 kHz."""
    source = resample(sound, GUITAR_HZ, model_rate_hz)
    result = _engine.render_model(model, source.astype(np.float32)).astype(np.float64)
    expected = resample(result, model_rate_hz, host_rate_hz)
    heard = resample(source, model_rate_hz, host_rate_hz).astype(np.float32)
    found = _engine.render_model(model, heard, sample_rate_hz=host_rate_hz).astype(np.float64)
    return error_db(found, expected, host_rate_hz)


def latency_frames(model: str, host_rate_hz: int) -> int:
    """What the engine says of a rig with this one model."""
    block = _engine.BlockSpec("amp", "amp", {}, model)
    return (
        _engine.Engine(host_rate_hz, threaded=False)
        .install(0, _engine.RigSpec(blocks=[block]))
        .latency_frames
    )


def cost_percent(wire: str, host_rate_hz: int) -> float:
    """Thread CPU time of a rig with a straight wire as its model, over that of the empty rig, as
    a share of a period of 64 frames: the least of many rounds."""
    signal = (0.1 * np.random.default_rng(1).standard_normal(COST_FRAMES)).astype(np.float32)
    least = []
    for blocks in ([], [_engine.BlockSpec("amp", "amp", {}, wire)]):
        engine = _engine.Engine(host_rate_hz, threaded=False)
        engine.install(0, _engine.RigSpec(blocks=blocks))
        engine.select(0)
        for _ in range(8):
            engine.process(signal)
            engine.service()
        rounds = []
        for _ in range(COST_ROUNDS):
            begin = time.thread_time()
            engine.process(signal)
            rounds.append(time.thread_time() - begin)
        least.append(min(rounds))
    return 100 * (least[1] - least[0]) * host_rate_hz / COST_FRAMES


def tell(host_hz: int, model_hz: int, sound: Wave, name: str, folder: Path) -> None:
    """One line for one pair of rates."""
    wire = straight_wire(model_hz, folder)
    errors = {}
    if host_hz != model_hz:
        for net in ("champ", "ts9"):
            model = at_rate(MODELS / net / f"{net}.json", model_hz, folder)
            errors[f"{net}, {name}"] = compare(model, model_hz, host_hz, sound)
        errors["straight wire, white noise"] = compare(wire, model_hz, host_hz, white())
    frames = latency_frames(wire, host_hz)
    row = {
        "figure": "resampled model",
        "host_hz": host_hz,
        "model_hz": model_hz,
        "error_db": {what: round(error, 1) for what, error in errors.items()},
        "limit_db": LIMIT_DB,
        "latency_frames": frames,
        "latency_ms": round(1000 * frames / host_hz, 3),
        "limit_ms": LIMIT_MS,
        "percent_of_period": round(cost_percent(wire, host_hz), 3),
    }
    print(json.dumps(row), flush=True)


def main() -> None:
    sound, name = guitar()
    with tempfile.TemporaryDirectory() as folder:
        for host_hz in HOST_RATES_HZ:
            for model_hz in MODEL_RATES_HZ:
                tell(host_hz, model_hz, sound, name, Path(folder))


if __name__ == "__main__":
    main()
