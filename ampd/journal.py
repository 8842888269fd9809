"""Where the daemon's log goes: to the journal with code and priority as fields, or to stderr.

The journal's own protocol is a datagram of lines, so no library is needed for it.
"""

import logging
import os
import socket
import sys

JOURNAL = "/run/systemd/journal/socket"
LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
DEBUG_PRIORITY = 7


class Lines(logging.Formatter):
    """ "ampd: what happened [AMPD-CODE]"."""

    def __init__(self) -> None:
        super().__init__("ampd: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        code = getattr(record, "code", "")
        return super().formatMessage(record) + (f" [{code}]" if code else "")


class JournalHandler(logging.Handler):
    """Sends each record to the journal's socket; to stderr while that does not take it."""

    def __init__(self, path: str = JOURNAL) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self.setFormatter(Lines())

    def emit(self, record: logging.LogRecord) -> None:
        """Any thread."""
        text = self.format(record)
        fields = {
            "MESSAGE": text.removeprefix("ampd: "),
            "PRIORITY": str(priority(record.levelno)),
            "SYSLOG_IDENTIFIER": "ampd",
            "AMPD_CODE": getattr(record, "code", ""),
            "AMPD_MODULE": record.name,
        }
        data = b"".join(_field(name, value) for name, value in fields.items() if value)
        try:
            self._socket.sendto(data, self._path)
        except OSError:
            print(text, file=sys.stderr)

    def close(self) -> None:
        """Send nothing more."""
        self._socket.close()
        super().close()


def priority(level: int) -> int:
    """The journal's number for a level of logging."""
    return next((number for least, number in LEVELS if level >= least), DEBUG_PRIORITY)


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if b"\n" in data:  # then the length comes first
        return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)
    return b"%s=%s\n" % (name.encode(), data)


def is_under_journal() -> bool:
    """Whether the journal reads our stderr: systemd names it by device and inode."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def begin_log() -> None:
    """Let the log go where it is read."""
    handler: logging.Handler
    if is_under_journal():
        handler = JournalHandler()
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
