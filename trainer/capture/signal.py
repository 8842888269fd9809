"""The test signal: what is sent through the gear, and the map of where everything is in it.

    blips     two single frames in silence: the doctor measures the latency by them
    sweep     20 Hz to 20 kHz, exponential, getting louder
    noise     white, from nothing to full
    ladder    one chord eight times, 6 dB louder each time
    playing   what the net learns from
    repeat    the beginning of `playing` once more: how exactly the gear repeats itself
    valid     other playing, which chooses among weights
    test      other playing again, measured once
    end       silence, in which the gear's last answer comes back

Silence of 0.5 s and more parts them, longer than any net remembers, and holds the gear's noise.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import soundfile
import soxr

from trainer.capture.playing import play
from trainer.data import read_mono
from trainer.errors import DataError
from trainer.files import replace_file, sha256_file
from trainer.recipe import Frames
from trainer.signals import Signal, pluck

# -6 dBFS: interfaces and trainers ask for a DI that peaks between -12 and -6 dBFS.
PEAK = 0.5
BLIPS_S, BLIP_PLACES_S = 2.0, (0.5, 1.5)
SWEEP_S, SWEEP_HZ, SWEEP_RISE_DB = 3.0, (20.0, 20_000.0), 30.0
NOISE_S = 2.0
LADDER_STEPS, LADDER_STEP_S, LADDER_STEP_DB = 8, 1.0, 6.0
REPEAT_S = 5.0
SHORT_PAUSE_S, PAUSE_S, END_S = 0.5, 1.5, 1.0
HELD_OUT = 0.1  # of the playing, for VALID and again for TEST
LEAST_PLAYING_S = 20.0
LEAST_MINUTES, MOST_MINUTES = 1.0, 30.0
FIXED_S = (
    BLIPS_S
    + SWEEP_S
    + NOISE_S
    + LADDER_STEPS * LADDER_STEP_S
    + REPEAT_S
    + 4 * SHORT_PAUSE_S
    + PAUSE_S
    + END_S
)


@dataclasses.dataclass(frozen=True)
class CaptureSignal:
    """Samples and their map; every part and split is [first, end) in frames."""

    samples: Signal  # (frames,), |x| <= PEAK, exact in 24 bits
    sample_rate_hz: int
    parts: dict[str, Frames]
    splits: dict[str, Frames]  # train, valid, test: every frame is in one of them


def make_signal(
    sample_rate_hz: int = 48_000, minutes: float = 3.0, playing: Signal | None = None
) -> CaptureSignal:
    """The signal for one rate; the same bytes each time.

    minutes: of the whole, LEAST_MINUTES or more; only without `playing`
    playing: (frames,) at the same rate, used instead of what is made here; it is brought to PEAK
    """
    if playing is None:
        seconds = max(minutes, LEAST_MINUTES) * 60 - FIXED_S
        held = HELD_OUT * seconds
        pieces = [
            play(length_s, sample_rate_hz, PEAK, seed)
            for length_s, seed in ((seconds - 2 * held, 1), (held, 2), (held, 3))
        ]
    else:
        scaled = playing * (PEAK / np.abs(playing).max())
        cuts = [round(len(scaled) * share) for share in (1 - 2 * HELD_OUT, 1 - HELD_OUT)]
        pieces = [_faded(piece, sample_rate_hz) for piece in np.split(scaled, cuts)]
    return _assemble(sample_rate_hz, pieces)


def _assemble(rate: int, pieces: list[Signal]) -> CaptureSignal:
    sequence = [
        ("blips", _blips(rate), 0.0),
        ("sweep", _sweep(rate), SHORT_PAUSE_S),
        ("noise", _noise(rate), SHORT_PAUSE_S),
        ("ladder", _ladder(rate), 0.0),
        ("playing", pieces[0], PAUSE_S),
        ("repeat", _faded(pieces[0][: round(REPEAT_S * rate)], rate), SHORT_PAUSE_S),
        ("valid", pieces[1], SHORT_PAUSE_S),
        ("test", pieces[2], 0.0),
        ("end", np.zeros(round(END_S * rate)), 0.0),
    ]
    parts: dict[str, Frames] = {}
    found: list[Signal] = []
    frame = 0
    for name, sound, pause_s in sequence:
        parts[name] = (frame, frame + len(sound))
        found += [sound, np.zeros(round(pause_s * rate))]
        frame += len(sound) + len(found[-1])
    samples = np.round(np.concatenate(found) * 2**23) / 2**23
    cuts = (parts["valid"][0], parts["test"][0])
    splits = {"train": (0, cuts[0]), "valid": cuts, "test": (cuts[1], frame)}
    return CaptureSignal(samples, rate, parts, splits)


def _blips(rate: int) -> Signal:
    silence = np.zeros(round(BLIPS_S * rate))
    silence[[round(place * rate) for place in BLIP_PLACES_S]] = PEAK
    return silence


def _sweep(rate: int) -> Signal:
    """Exponential: each octave takes as long as the next; ends below the Nyquist frequency."""
    low_hz, high_hz = SWEEP_HZ[0], min(SWEEP_HZ[1], 0.45 * rate)
    share = np.arange(round(SWEEP_S * rate)) / (SWEEP_S * rate)
    speed = np.log(high_hz / low_hz)
    turns = low_hz * SWEEP_S / speed * np.expm1(share * speed)
    rise = 10 ** (SWEEP_RISE_DB * (share - 1) / 20)
    return _faded(PEAK * rise * np.sin(2 * np.pi * turns), rate)


def _noise(rate: int) -> Signal:
    frames = round(NOISE_S * rate)
    noise = np.random.default_rng(0).uniform(-1, 1, frames)
    return _faded(PEAK * np.linspace(0, 1, frames) * noise, rate)


def _ladder(rate: int) -> Signal:
    """Soft to loud, the last at PEAK."""
    frames = round(LADDER_STEP_S * rate)
    random = np.random.default_rng(4)
    chord = sum((pluck(f, frames, rate, random) for f in (110.0, 164.81, 220.0)), np.zeros(frames))
    chord = _faded(chord, rate)
    chord *= PEAK / np.abs(chord).max()
    levels_db = LADDER_STEP_DB * (np.arange(LADDER_STEPS) - LADDER_STEPS + 1)
    return np.concatenate([chord * 10 ** (level / 20) for level in levels_db])


def _faded(sound: Signal, rate: int) -> Signal:
    """Without a jump at its ends: 2 ms in and out, as fast as a pick."""
    frames = min(rate // 500, len(sound) // 2)
    ramp = np.linspace(0, 1, frames)
    faded = sound.copy()
    faded[:frames] *= ramp
    faded[len(faded) - frames :] *= ramp[::-1]
    return faded


# --- files


def read_playing(path: Path, sample_rate_hz: int) -> Signal:
    """A DI of one's own, at the signal's rate.

    raises: DataError if it cannot be read, is silent or too short
    """
    samples, rate = read_mono(path)
    playing = samples.numpy().astype(np.float64)
    if len(playing) < LEAST_PLAYING_S * rate:
        raise DataError(
            f"{path}: found {len(playing) / rate:.1f} s of playing, expected {LEAST_PLAYING_S:g} s "
            "or more (minutes are better): play on, or leave --playing out"
        )
    if not np.abs(playing).max() > 1e-3:
        raise DataError(f"{path}: found silence, expected playing: check the cable, record again")
    if rate == sample_rate_hz:
        return playing
    resampled: Signal = soxr.resample(playing, rate, sample_rate_hz, quality="VHQ")
    return resampled


def map_path(path: Path) -> Path:
    """Where the map of a signal file lies."""
    return path.with_suffix(".json")


def write_signal(signal: CaptureSignal, path: Path) -> None:
    """PATH, a 24-bit mono WAV, and beside it PATH's .json with the map.

    raises: ModelError where they cannot be written
    """

    def write(file: object) -> None:
        soundfile.write(file, signal.samples, signal.sample_rate_hz, "PCM_24", format="WAV")

    replace_file(path, write)
    layout = {
        "format": "ampd-signal",
        "format_version": 1,
        "sample_rate": signal.sample_rate_hz,
        "sha256": sha256_file(path),
        "parts": signal.parts,
        "splits": signal.splits,
    }
    text = json.dumps(layout, indent=2) + "\n"
    replace_file(map_path(path), lambda file: file.write(text.encode()))


def read_splits(path: Path) -> dict[str, Frames]:
    """The splits of a signal file, by the map beside it; {} for a file without one.

    raises: DataError for a map that is not this file's
    """
    try:
        layout = json.loads(map_path(path).read_text("utf-8"))
        if layout["format"] != "ampd-signal":
            return {}
        fits = layout["sha256"] == sha256_file(path)
        splits = {name: (int(a), int(b)) for name, (a, b) in layout["splits"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{map_path(path)}: cannot be read as the map of {path.name} ({error}): make both "
            "again with ampd-train signal, or remove it"
        ) from error
    if not fits:
        raise DataError(
            f"{map_path(path)}: is the map of another file than {path.name}: make both again with "
            "ampd-train signal, or remove it"
        )
    return splits
