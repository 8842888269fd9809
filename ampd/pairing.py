"""The pairing token: what a machine of the network must know before it may turn every knob.

Made once, of 128 random bits, and kept for the owner alone beside what plays; another one takes its
place when the player asks, and whoever knew the old one is a guest again.  Everything blocks on the
disk for a moment.
"""

import base64
import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from ampd.codes import code

log = logging.getLogger(__name__)

RANDOM_BYTES = 16
TOKEN = re.compile(r"[a-z2-7]{26}")  # longer than the name of any block, so never taken for one
MAX_BYTES = 64
ONLY_OWNER = 0o600


class Pairing:
    """The token, and the file that keeps it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = _read(path) or self.renew()

    def renew(self) -> str:
        """Put a new token in the place of the old one, and return it. Where it cannot be kept it
        holds until the daemon ends, and the log says so."""
        self.token = base64.b32encode(secrets.token_bytes(RANDOM_BYTES)).decode().lower()[:26]
        try:
            _write(self.path, self.token)
        except OSError as error:
            log.warning(
                "%s: cannot be written (%s); who pairs now must pair again after the next start.",
                self.path,
                error.strerror,
                extra=code("PAIR-KEEP"),
            )
        return self.token

    def is_token(self, text: str) -> bool:
        """Whether it is the token, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(text.encode(), self.token.encode())

    def cookie(self) -> str:
        """What a browser keeps in place of the token."""
        return self.digest(b"ampd page").hex()

    def is_cookie(self, text: str) -> bool:
        """Whether a browser has paired."""
        return hmac.compare_digest(text.encode(), self.cookie().encode())

    def digest(self, text: bytes) -> bytes:
        """HMAC-SHA256 of the text under the token."""
        return hmac.new(self.token.encode(), text, hashlib.sha256).digest()


def token_path(folder: Path, client_name: str) -> Path:
    """Where the daemon of that name keeps its token."""
    return folder / f"{client_name}.token"


def _read(path: Path) -> str:
    """The token that is kept; "" where there is none that may be trusted."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != ONLY_OWNER:
            return ""  # others may have read it
        text = os.read(number, MAX_BYTES).decode("ascii", "replace").strip()
    finally:
        os.close(number)
    return text if TOKEN.fullmatch(text) else ""


def _write(path: Path, token: str) -> None:
    """All of it or nothing, whatever ends it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        aside.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    number = os.open(aside, flags, ONLY_OWNER)
    try:
        os.write(number, f"{token}\n".encode())
        os.fsync(number)
    finally:
        os.close(number)
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
