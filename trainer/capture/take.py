"""A take: what came back, aligned, judged by the doctor, and kept only if it is good."""

import contextlib
import dataclasses
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile
import yaml

from trainer.architectures import build_network
from trainer.capture.levels import Levels, decibels
from trainer.capture.recorder import Server, Way, record
from trainer.capture.signal import BLIP_PLACES_S, BLIPS_S, PEAK, make_signal, read_splits
from trainer.capture.tape import Block
from trainer.data import read_mono
from trainer.doctor.examine import LAG_BY_BLIPS, Diagnosis, examine
from trainer.doctor.finding import STOPS, Finding
from trainer.doctor.timing import blip_lags, coarse_lag, find_blips
from trainer.errors import DataError
from trainer.files import prepare_folder, replace_file
from trainer.recipe import Frames, Recipe, load_recipe, recipe_from_dict, recipe_to_dict
from trainer.signals import Signal

TAIL_S = 1.0  # longest round trip
BLIP_REACH = 4096
# What the doctor finds in the return and training must not have; the rest is said, and kept.
REFUSED = ("clipping", "jump", "dropout", "drift")


@dataclasses.dataclass(frozen=True)
class Sound:
    """What is sent, what of it becomes input.wav, and how that is divided."""

    samples: Signal  # (frames,), with two blips somewhere
    lead_frames: int  # before the input begins: blips that a signal without any is given
    sample_rate_hz: int
    splits: Mapping[str, Frames]  # of the input; {}: as the recipe divides


@dataclasses.dataclass(frozen=True)
class Kept:
    """A take folder that is ready to train."""

    folder: Path
    lag_frames: float  # round trip through the gear
    remark: str  # what to do better next time, or ""
    diagnosis: Diagnosis


def prepare_sound(path: Path | None, server: Server, minutes: float) -> Sound:
    """The test signal at the server's rate, or a file of one's own.

    raises: DataError for a file of another rate
    """
    rate = server.sample_rate_hz
    if path is None:
        signal = make_signal(rate, minutes)
        return Sound(signal.samples, 0, rate, signal.splits)
    tensor, found = read_mono(path)
    if found != rate:
        raise DataError(
            f"{path}: found {found} Hz, the JACK server runs at {rate} Hz: make a signal with "
            f"ampd-train signal {path.name} --rate {rate}, or change the server's rate"
        )
    samples = tensor.numpy().astype(np.float64)
    splits = read_splits(path)
    if len(find_blips(samples, rate)) >= 2:
        return Sound(samples, 0, rate, splits)
    lead = np.zeros(round(BLIPS_S * rate))
    lead[[round(place * rate) for place in BLIP_PLACES_S]] = PEAK
    return Sound(np.concatenate([lead, samples]), len(lead), rate, splits)


def take_recipe(
    name: str, folder: Path, splits: Mapping[str, Frames], keys: Mapping[str, str]
) -> Recipe:
    """The recipe of a take folder.

    name: of a recipe, or its file; keys: section.key -> text, as on the command line; one of
        them is model.name
    raises: RecipeError
    """
    own = {"data.input": "input.wav", "data.target": "target.wav"}
    own |= {f"data.{split}": f"[{first}, {end}]" for split, (first, end) in splits.items()}
    return load_recipe(name, {**keys, **own, "paths.data": str(folder)})


def capture(
    sound: Sound,
    ports: tuple[str, str],
    folder: Path,
    recipe: Recipe,
    report: Callable[[Levels], None],
    inverted: bool = False,
    prefix: Sequence[str] = (),
) -> Kept:
    """Record a take and put it into `folder`, which appears when all of it is there.

    ports: (send, return); inverted: the gear turns the polarity over, and may
    raises: JackError, DataError; then there is no folder
    """
    rate = sound.sample_rate_hz
    with _folder_to_be(folder) as making:
        samples = sound.samples.astype(np.float32)
        way = Way(*ports, rate, round(TAIL_S * rate))
        heard, watch = record(samples, way, report, prefix)
        lag = round_trip(sound.samples, heard, rate, ports[1])
        # Whole frames only, so that the recording stays as it was; never before the sound.
        first = math.floor(lag + LAG_BY_BLIPS) + sound.lead_frames
        dry = samples[sound.lead_frames :]
        _write_wav(making / "input.wav", dry, rate)
        _write_wav(making / "target.wav", heard[first : first + len(dry)], rate)
        diagnosis = _judge(making, folder, recipe, ports[1], inverted)
        _write_recipe(making / "recipe.yaml", recipe, lag, decibels(watch.heard_peak))
    return Kept(folder, lag, watch.remark(), diagnosis)


@contextlib.contextmanager
def _folder_to_be(folder: Path) -> Iterator[Path]:
    """A hidden folder that becomes `folder` in one step, or is gone."""
    check_place(folder)
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield making
        making.chmod(0o755)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Raises DataError where a take is already, ModelError where none can be written."""
    if folder.exists():
        raise DataError(f"{folder}: there is a take already: choose another --name, or remove it")
    prepare_folder(folder.parent)


def round_trip(sent: Signal, heard: Block, sample_rate_hz: int, name: str) -> float:
    """The lag of what came back, in frames, by the blips; raises DataError if they are not heard.

    sent, heard: from the same frame on; heard is longer by the longest round trip
    """
    wet = heard.astype(np.float64)
    frames = len(sent)
    coarse = coarse_lag(sent - sent.mean(), wet[:frames] - wet[:frames].mean(), sample_rate_hz)
    blips = find_blips(sent, sample_rate_hz)
    found = blip_lags(wet, blips, BLIP_REACH, coarse)
    if found is None:
        raise DataError(
            f"{name}: the blips at the beginning do not come back above the noise, so the latency "
            "is unknown: lower the noise, or open the gate of the gear"
        )
    lag, spread = found
    if not -LAG_BY_BLIPS <= lag <= len(heard) - frames:
        raise DataError(
            f"{name}: the answer comes {lag:.0f} frames after the sound, expected 0 to "
            f"{len(heard) - frames}: see what is connected to what"
        )
    if spread > 1:
        raise DataError(
            f"{name}: two blips come back {spread:.1f} frames apart: the gear or its clock is not "
            "steady; switch modulation off and record again"
        )
    return lag


def _judge(making: Path, folder: Path, recipe: Recipe, port: str, inverted: bool) -> Diagnosis:
    dry, wet = making / "input.wav", making / "target.wav"
    field = build_network(recipe.model).receptive_field_frames
    found = examine(dry, wet, field_frames=field, train=recipe.data.train)
    bad = [
        _reason(finding).replace(str(wet), port).replace(str(dry), "the signal")
        for finding in found.findings
        if _is_refused(finding, wet, inverted)
    ]
    if bad:
        raise DataError(f"{folder.name}: take refused: {'; '.join(bad)}")
    told = (
        dataclasses.replace(f, text=f.text.replace(str(making), str(folder)))
        for f in found.findings
    )
    return dataclasses.replace(found, findings=tuple(told))


def _is_refused(finding: Finding, wet: Path, inverted: bool) -> bool:
    if finding.code == "polarity":
        return not inverted
    from_gear = finding.text.startswith(str(wet))
    return finding.severity == STOPS or (finding.code in REFUSED and from_gear)


def _reason(finding: Finding) -> str:
    if finding.code == "polarity":
        return (
            "inverted: the return is upside down against the signal; turn a cable or a switch "
            "over, or say --inverted if it is the gear itself that inverts"
        )
    return f"{finding.code}: {finding.text}"


# --- files


def _write_wav(path: Path, samples: Block, sample_rate_hz: int) -> None:
    def write(file: object) -> None:
        soundfile.write(file, samples, sample_rate_hz, format="WAV", subtype="FLOAT")

    replace_file(path, write)


def _write_recipe(path: Path, recipe: Recipe, lag_frames: float, peak_db: float) -> None:
    """What differs from the defaults, so that a person can read it."""
    plain = recipe_from_dict({"model": {"name": recipe.model.name}}, str(path))
    defaults = recipe_to_dict(plain)
    sections = {
        section: {k: v for k, v in values.items() if v != defaults[section][k] or k == "name"}
        for section, values in recipe_to_dict(recipe).items()
    }
    heading = (
        f"# A take of {recipe.model.name}: round trip {lag_frames:.2f} frames (taken off), return "
        f"peak {peak_db:.1f} dBFS.\n#   ampd-train train THIS_FILE\n"
    )
    text = heading + yaml.safe_dump(
        {k: v for k, v in sections.items() if v},
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=None,
    )
    replace_file(path, lambda file: file.write(text.encode()))
