"""Passports come back as they were kept, and what is not one is not believed."""

import json
import logging
from pathlib import Path

import pytest

from ampd.errors import LibraryError
from ampd.passports import VERSION, Cost, Passport, Store, fingerprint

KEY, OTHER = "a" * 64, "b" * 64
PASSPORT = Passport(
    loudness_lufs=-21.36,
    rms_dbfs=-20.8,
    dc_dbfs=-95.8,
    noise_dbfs=-200.0,
    polarity=-1,
    latency_frames=138,
    cost=Cost("avx2", 64, 111.0, 0.54, 187.0),
)


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    unanswered = Passport(
        loudness_lufs=-200.0,
        rms_dbfs=-200.0,
        dc_dbfs=0.0,
        noise_dbfs=-3.5,
        polarity=0,
        latency_frames=None,
        cost=None,
    )
    store = Store(tmp_path / "deep" / "cache")
    store.keep_passport(KEY, PASSPORT)
    store.keep_passport(OTHER, unanswered)
    store.keep_rig_loudness(KEY, -18.25)
    again = Store(tmp_path / "deep" / "cache")
    assert again.passport(KEY) == PASSPORT
    assert again.passport(OTHER) == unanswered
    assert again.rig_loudness_lufs(KEY) == -18.25
    assert (again.passport("c" * 64), again.rig_loudness_lufs(OTHER)) == (None, None)


def test_newer_passport_takes_the_place_of_the_older(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep_rig_loudness(KEY, -10.0)
    store.keep_rig_loudness(KEY, -11.0)
    assert Store(tmp_path).rig_loudness_lufs(KEY) == -11.0
    assert json.loads(only_file(tmp_path).read_text())["version"] == VERSION


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 4000,
        b'{"version": %d}' % VERSION,
        b'{"version": %d, "loudness_lufs": "loud"}' % VERSION,
        b'{"version": %d, "loudness_lufs": NaN}' % VERSION,
        b'{"version": %d, "loudness_lufs": true}' % VERSION,
        b'{"version": %d, "loudness_lufs": 1%s}' % (VERSION, b"0" * 400),
        b'{"version": %d, "loudness_lufs": -18.0}' % (VERSION + 1),
    ],
)
def test_damaged_or_foreign_file_is_ignored_and_written_anew(tmp_path: Path, damage: bytes) -> None:
    Store(tmp_path).keep_rig_loudness(KEY, -18.0)
    only_file(tmp_path).write_bytes(damage)
    store = Store(tmp_path)
    assert store.rig_loudness_lufs(KEY) is None
    store.keep_rig_loudness(KEY, -18.0)
    assert Store(tmp_path).rig_loudness_lufs(KEY) == -18.0


@pytest.mark.parametrize(
    ("field", "value"),
    [("polarity", 2), ("latency_frames", "late"), ("cost", {"isa": "avx2"}), ("dc_dbfs", None)],
)
def test_passport_with_a_false_field_is_not_believed(
    tmp_path: Path, field: str, value: object
) -> None:
    Store(tmp_path).keep_passport(KEY, PASSPORT)
    file = only_file(tmp_path)
    kept = json.loads(file.read_text())
    kept[field] = value
    file.write_text(json.dumps(kept))
    assert Store(tmp_path).passport(KEY) is None


def test_folder_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "cache")
    with caplog.at_level(logging.WARNING):
        store.keep_passport(KEY, PASSPORT)
        store.keep_passport(OTHER, PASSPORT)
    assert store.passport(OTHER) == PASSPORT
    assert len(caplog.records) == 1
    assert "[paths] cache" in caplog.text


def test_failed_write_leaves_the_kept_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.keep_rig_loudness(KEY, -18.0)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    store.keep_rig_loudness(KEY, -12.0)
    assert Store(tmp_path).rig_loudness_lufs(KEY) == -18.0
    assert only_file(tmp_path).name.startswith("rig-")


def test_store_without_a_folder_remembers_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store()
    store.keep_passport(KEY, PASSPORT)
    assert store.passport(KEY) == PASSPORT
    assert list(tmp_path.iterdir()) == []


def test_fingerprint_follows_the_bytes_and_not_the_name(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    one.write_bytes(b"amp")
    two.write_bytes(b"amp")
    three.write_bytes(b"Amp")
    assert (
        fingerprint(one) == "46855b390631765483ce241740fb2b7edcd26237a4a83dbabdc570ec1bcf5006"
    )  # by sha256sum
    assert fingerprint(one) == fingerprint(two) != fingerprint(three)
    with pytest.raises(LibraryError, match="gone: cannot be read"):
        fingerprint(tmp_path / "gone")
