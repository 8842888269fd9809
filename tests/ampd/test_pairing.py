"""The pairing token on disk: made once, the owner's alone, whole or not at all."""

import errno
import stat
from pathlib import Path

import pytest

from ampd.pairing import TOKEN, Pairing, token_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return token_path(tmp_path / "state", "ampd")


def test_token_is_made_once_and_is_the_owners_alone(path: Path) -> None:
    first = Pairing(path).token
    assert TOKEN.fullmatch(first)
    assert Pairing(path).token == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["ampd.token"]


def test_two_boxes_have_two_tokens(tmp_path: Path) -> None:
    made = {Pairing(tmp_path / f"{number}.token").token for number in range(20)}
    assert len(made) == 20


def test_new_token_ends_the_old_one_and_its_cookie(path: Path) -> None:
    pairing = Pairing(path)
    token, cookie = pairing.token, pairing.cookie()
    assert pairing.is_token(token)
    assert pairing.is_cookie(cookie)
    pairing.renew()
    assert not pairing.is_token(token)
    assert not pairing.is_cookie(cookie)
    assert Pairing(path).token == pairing.token


@pytest.mark.parametrize("text", ["", "short\n", "A" * 26, "a" * 60, "\xff\xfe"])
def test_spoilt_token_is_made_anew(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text(text, encoding="latin-1")
    assert TOKEN.fullmatch(Pairing(path).token)
    assert Pairing(path).token == path.read_text().strip()


def test_token_that_others_could_read_is_made_anew(path: Path) -> None:
    token = Pairing(path).token
    path.chmod(0o640)
    assert Pairing(path).token != token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_link_to_a_file_of_somebody_else_is_not_followed(path: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("a" * 26 + "\n")
    theirs.chmod(0o600)
    path.parent.mkdir()
    path.symlink_to(theirs)
    assert Pairing(path).token != "a" * 26
    assert theirs.read_text() == "a" * 26 + "\n"


def test_disk_that_cannot_be_written_costs_the_keeping_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("ampd.pairing.os.fsync", refuse)
    pairing = Pairing(path)
    assert pairing.is_token(pairing.token)
    assert not path.exists()
    assert "cannot be written (Read-only file system)" in caplog.text


def test_no_text_of_any_kind_breaks_the_comparison(path: Path) -> None:
    pairing = Pairing(path)
    for text in ("", "\0", "ä" * 13, pairing.token[:-1], pairing.token + "a", "😀"):
        assert not pairing.is_token(text)
        assert not pairing.is_cookie(text)
