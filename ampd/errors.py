"""The one exception tree of the control plane.

Every text is one sentence for the person who asked: file, place, what was found, what is
expected, and the way out.  Each way in catches AmpdError once and hands the text over; anything
else that escapes is a bug.

Exit codes of the command line:

    0  done
    1  a file, a name or a value is bad; the text says which
    2  the command line itself is wrong (argparse)
    3  no daemon answers at the address
    4  JACK: no library, no server, or it does not answer
    5  the daemon cannot listen at its address
"""

from __future__ import annotations

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:
    from typing import ClassVar


class AmpdError(Exception):
    """Base of everything that a user can cause and mend."""

    exit_code: ClassVar[int] = 1


class ConfigError(AmpdError):
    """ampd.toml or midi.yaml cannot be read or written, or holds what is not allowed."""


class RigError(AmpdError):
    """A rig file is malformed, or asks for what its blocks do not have."""


class NotVettedError(RigError):
    """A rig plays a file that nobody has vouched for yet, and there is no time to examine it."""


class LibraryError(AmpdError):
    """A name finds no rig or model, or is not a name."""


class CommandError(AmpdError):
    """A command names an unknown path or carries a bad value."""


class EngineError(AmpdError):
    """The engine refused or did not answer."""


class AudioFileError(AmpdError):
    """A sound file cannot be read or written, or does not fit the model."""


class StateError(AmpdError):
    """What was kept for the next start cannot be read, or is spoilt."""


class ServiceError(AmpdError):
    """systemd's files cannot be written, or systemd refuses."""


class UnreachableError(AmpdError):
    """No daemon answers."""

    exit_code = 3


class JackUnavailableError(AmpdError):
    """There is no libjack, no server, or it does not answer."""

    exit_code = 4


class ListenError(AmpdError):
    """The address for commands is taken or cannot be bound."""

    exit_code = 5
