"""The log in the journal's own protocol, and as lines."""

import logging
import os
import socket
import sys
from pathlib import Path

import pytest

from ampd.codes import code
from ampd.journal import JournalHandler, Lines, is_under_journal, priority
from tests.ampd.conftest import LIMIT_S


def record(text: str, name: str = "", level: int = logging.WARNING) -> logging.LogRecord:
    made = logging.LogRecord("ampd.keeper", level, "", 0, text, None, None)
    made.__dict__.update(code(name) if name else {})
    return made


def parsed(data: bytes) -> dict[str, str]:
    """Fields of the journal's protocol, by its description (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + length], data[8 + length + 1 :]
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def journal(tmp_path: Path) -> socket.socket:
    place = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    place.bind(str(tmp_path / "journal"))
    place.settimeout(LIMIT_S)
    return place


def test_record_reaches_the_journal_with_code_and_priority(
    journal: socket.socket, tmp_path: Path
) -> None:
    handler = JournalHandler(str(tmp_path / "journal"))
    handler.handle(record("the disk is full", "STATE-WRITE"))
    assert parsed(journal.recv(65536)) == {
        "MESSAGE": "the disk is full [AMPD-STATE-WRITE]",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "ampd",
        "AMPD_CODE": "AMPD-STATE-WRITE",
        "AMPD_MODULE": "ampd.keeper",
    }
    handler.handle(record("one\ntwo ü", level=logging.ERROR))
    fields = parsed(journal.recv(65536))
    assert (fields["MESSAGE"], fields["PRIORITY"]) == ("one\ntwo ü", "3")
    assert "AMPD_CODE" not in fields
    handler.close()


def test_what_the_journal_does_not_take_goes_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = JournalHandler(str(tmp_path / "nobody"))
    handler.handle(record("the disk is full", "STATE-WRITE"))
    assert capsys.readouterr().err == "ampd: the disk is full [AMPD-STATE-WRITE]\n"
    handler.close()


def test_lines_name_the_code_behind_the_text() -> None:
    assert Lines().format(record("lost", "JACK-LOST")) == "ampd: lost [AMPD-JACK-LOST]"
    assert Lines().format(record("listens", level=logging.INFO)) == "ampd: listens"


@pytest.mark.parametrize(
    ("level", "number"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
    ],
)
def test_levels_are_the_journals(level: int, number: int) -> None:
    assert priority(level) == number


def test_journal_is_known_by_the_stream_that_systemd_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "stream").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert is_under_journal()
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
        assert not is_under_journal()
        monkeypatch.delenv("JOURNAL_STREAM")
        assert not is_under_journal()
