"""What was measured of a model or a rig, kept by the hash of what decides it.

A file can change its name and a name its file; the hash of the bytes cannot.  Each passport is one
small JSON file, written whole or not at all.  A file that is damaged, or of another version of
this module, is not believed: it is measured and written anew.  Without a folder that can be
written everything works from memory, and costs the time of measuring after every start.
"""

import hashlib
import json
import logging
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ampd.codes import code
from ampd.errors import LibraryError

VERSION = 1  # grows when a number here is measured in another way
MAX_BYTES = 4096

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What the bare net takes of this core, in thread CPU time, the least of a few rounds."""

    isa: str
    period_frames: int
    ns_per_sample: float
    percent_of_period: float
    times_real_time: float


@dataclass(frozen=True, kw_only=True)
class Passport:
    """What a model does, measured with ampd.probe at the model's own rate. -200 dBFS is nothing."""

    loudness_lufs: float  # of its answer to the guitar, K-weighted
    rms_dbfs: float
    dc_dbfs: float  # for silence
    noise_dbfs: float  # for silence
    polarity: int  # 1, -1; 0 where it cannot be told
    latency_frames: int | None  # until a click is answered; None where it is not
    cost: Cost | None  # None: not measured yet


@dataclass(frozen=True)
class Verdict:
    """What an examination found of a file, by the hash of its bytes."""

    sound: bool = False  # it was played and gave nothing but bounded numbers
    forced: bool = False  # the player lets it play however long it takes
    shares: Mapping[str, float] = field(default_factory=dict)  # "avx2 48000 64": % of a period

    def percent(self, isa: str, rate_hz: int, block_frames: int) -> float | None:
        """Of a period of so many frames; what was measured at shorter ones, or at another rate,
        tells enough. None: not measured."""
        found = []
        for place, share in self.shares.items():
            kept_isa, kept_rate_hz, kept_frames = place.split(" ")
            if kept_isa == isa and int(kept_frames) <= block_frames:
                exact = (int(kept_rate_hz), int(kept_frames)) == (rate_hz, block_frames)
                found.append((not exact, share * rate_hz / int(kept_rate_hz)))
        return min(found)[1] if found else None

    def measured(self, isa: str, rate_hz: int, block_frames: int, percent: float) -> "Verdict":
        """The same, and this."""
        shares = {**self.shares, f"{isa} {rate_hz} {block_frames}": percent}
        return Verdict(True, self.forced, shares)


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits. Raises LibraryError. Blocks on the disk."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LibraryError(f"{path}: cannot be read ({error.strerror}).") from error


class Store:
    """The passports in one folder, and in memory; without a folder in memory alone. Any thread;
    all methods block on the disk.

    key: 64 hex digits, of fingerprint or of another SHA-256.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._memory: dict[str, dict[str, Any]] = {}
        self._warned = False

    def passport(self, key: str) -> Passport | None:
        """The passport of the model with this fingerprint; None where there is none."""
        return _believed(self._read(f"model-{key}"), _to_passport)

    def keep_passport(self, key: str, passport: Passport) -> None:
        """Keep the passport; it takes the place of an older one."""
        self._write(f"model-{key}", asdict(passport))

    def verdict(self, key: str) -> Verdict | None:
        """What was found of the file with this fingerprint, by whoever examined it last."""
        if self._folder is not None:
            self._memory.pop(f"verdict-{key}", None)
        return _believed(self._read(f"verdict-{key}"), _to_verdict)

    def keep_verdict(self, key: str, verdict: Verdict) -> None:
        """Keep what was found."""
        self._write(f"verdict-{key}", asdict(verdict))

    def rig_loudness_lufs(self, key: str) -> float | None:
        """How loud the rig with this key is; None where it was not measured yet."""
        return _believed(self._read(f"rig-{key}"), lambda kept: _number(kept["loudness_lufs"]))

    def keep_rig_loudness(self, key: str, loudness_lufs: float) -> None:
        """Keep how loud a rig is."""
        self._write(f"rig-{key}", {"loudness_lufs": loudness_lufs})

    def _read(self, name: str) -> dict[str, Any] | None:
        if name not in self._memory and self._folder is not None:
            kept = _read_json(self._folder / f"{name}.json")
            if kept is not None:
                self._memory[name] = kept
        return self._memory.get(name)

    def _write(self, name: str, fields: dict[str, Any]) -> None:
        kept = {"version": VERSION, **fields}
        self._memory[name] = kept
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _replace(self._folder / f"{name}.json", json.dumps(kept))
        except OSError as error:
            if not self._warned:
                log.warning(
                    "%s: cannot be written (%s); loudness is measured anew after every start. "
                    "[paths] cache in ampd.toml names another folder.",
                    self._folder,
                    error.strerror,
                    extra=code("CACHE-WRITE"),
                )
            self._warned = True


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            kept = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(kept, dict) or kept.get("version") != VERSION:
        return None
    return kept


def _replace(path: Path, text: str) -> None:
    """The whole text at once, or what stood there before."""
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _believed(kept: dict[str, Any] | None, read: Callable[[dict[str, Any]], T]) -> T | None:
    """What is kept, or None where a field is missing or no number."""
    if kept is None:
        return None
    try:
        return read(kept)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _to_passport(kept: dict[str, Any]) -> Passport:
    latency, polarity, cost = kept["latency_frames"], kept["polarity"], kept["cost"]
    if polarity not in (-1, 0, 1):
        raise ValueError(polarity)
    return Passport(
        loudness_lufs=_number(kept["loudness_lufs"]),
        rms_dbfs=_number(kept["rms_dbfs"]),
        dc_dbfs=_number(kept["dc_dbfs"]),
        noise_dbfs=_number(kept["noise_dbfs"]),
        polarity=int(polarity),
        latency_frames=None if latency is None else int(_number(latency)),
        cost=None if cost is None else _to_cost(cost),
    )


def _to_verdict(kept: dict[str, Any]) -> Verdict:
    shares: dict[str, float] = {}
    if not isinstance(kept["shares"], dict):
        raise TypeError(kept["shares"])
    for place, share in kept["shares"].items():
        _, rate_hz, block_frames = place.split(" ")
        if int(rate_hz) <= 0 or int(block_frames) <= 0:
            raise ValueError(place)
        shares[place] = _number(share)
    return Verdict(kept["sound"] is True, kept["forced"] is True, shares)


def _to_cost(kept: dict[str, Any]) -> Cost:
    return Cost(
        str(kept["isa"]),
        int(_number(kept["period_frames"])),
        _number(kept["ns_per_sample"]),
        _number(kept["percent_of_period"]),
        _number(kept["times_real_time"]),
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)
