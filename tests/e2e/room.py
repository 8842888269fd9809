"""A network of its own with a daemon on it: what a stranger, a guest and a phone hear there.

    unshare --net python -m tests.e2e.room FOLDER

Prints one JSON object of what was found. FOLDER has rigs and models. This machine is 192.168.77.1
and fd77::1 there, and all the others are addresses of the same interface, so the kernel sends from
any of them.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ampd.control.packet import decode, encode

HERE, PHONE, STRANGER = "192.168.77.1", "192.168.77.2", "203.0.113.7"
HERE_IPV6, PHONE_IPV6, STRANGER_IPV6 = "fd77::1", "fd77::2", "2001:db8::7"
PORT = 9010
START_LIMIT_S = 30.0
ANSWER_S = 30.0  # a rig is examined before it plays for the first time
SILENCE_S = 0.5
SETTINGS = f"""
[osc]
port = {PORT}
[control]
lan = true
[paths]
rigs = "rigs"
models = "models"
cache = "cache"
state = "state"
[rig]
start = "clean"
[jack]
server_name = "nobody"
"""


def ask(
    source: str, to: str, *messages: tuple[str, list[Any]], limit_s: float = SILENCE_S
) -> list[Any]:
    """The answer to the last of the messages that one socket sends; [] where none comes."""
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    answer: list[Any] = []
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.connect((to, PORT))  # an answer from another address is none
        client.settimeout(limit_s)
        for address, arguments in messages:
            client.send(encode(address, arguments))
            try:
                answer = list(decode(client.recv(65536)))
            except (TimeoutError, ConnectionError):
                answer = []
    return answer


def connects(source: str, to: str) -> bool:
    """Whether a connection is answered; what is not wanted is ended at once."""
    try:
        with socket.create_connection((to, PORT), ANSWER_S, (source, 0)) as connection:
            connection.settimeout(ANSWER_S)
            connection.sendall(f"GET /ampd/rig HTTP/1.1\r\nHost: {HERE}\r\n\r\n".encode())
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@contextmanager
def daemon(folder: Path) -> Iterator[None]:
    """A daemon that is reached by the network."""
    (folder / "ampd.toml").write_text(SETTINGS)
    argv = [sys.executable, "-m", "ampd.cli", "run"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, stderr=log)
    try:
        deadline_s = time.monotonic() + START_LIMIT_S
        while not ask("127.0.0.1", "127.0.0.1", ("/ampd/rig", [])):
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError((folder / "log").read_text())
        yield
    finally:
        process.terminate()
        process.wait(20.0)


def ampd(folder: Path, *words: str) -> str:
    argv = [sys.executable, "-m", "ampd.cli", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout or done.stderr


def look(folder: Path) -> dict[str, Any]:
    """What everybody hears."""
    token = ampd(folder, "pair").strip()
    rig, knob = ("/ampd/rig", ["drive"]), ("/ampd/mix", [0.25])
    paired = (f"/ampd/{token}/mix", [0.75])
    return {
        "token": token,
        "mode": oct((folder / "state" / "ampd.token").stat().st_mode & 0o777),
        "kept": (folder / "state" / "ampd.token").read_text().strip(),
        "stranger": ask(STRANGER, HERE, rig),
        "stranger_paired": ask(STRANGER, HERE, paired),
        "stranger_tcp": connects(STRANGER, HERE),
        "stranger_ipv6": ask(STRANGER_IPV6, HERE_IPV6, rig),
        "stranger_ipv6_tcp": connects(STRANGER_IPV6, HERE_IPV6),
        "guest": ask(PHONE, HERE, rig, limit_s=ANSWER_S),
        "guest_knob": ask(PHONE, HERE, knob),
        "guest_tcp": connects(PHONE, HERE),
        "guest_ipv6": ask(PHONE_IPV6, HERE_IPV6, ("/ampd/mute", [True]), limit_s=ANSWER_S),
        "guest_ipv6_tcp": connects(PHONE_IPV6, HERE_IPV6),
        "paired": ask(PHONE, HERE, paired, limit_s=ANSWER_S),
        "paired_ipv6": ask(PHONE_IPV6, HERE_IPV6, (f"/ampd/{token}/mix", [0.5]), limit_s=ANSWER_S),
        "here": ask("127.0.0.1", "127.0.0.1", ("/ampd/mix", []), limit_s=ANSWER_S),
        "page": ampd(folder, "page"),
    }


def main(folder: Path) -> None:
    for words in (
        "link set lo up",
        *(f"addr add {host}/24 dev lo" for host in (HERE, PHONE, STRANGER)),
        *(f"addr add {host}/64 dev lo" for host in (HERE_IPV6, PHONE_IPV6, STRANGER_IPV6)),
    ):
        subprocess.run(["ip", *words.split()], check=True, timeout=10)
    with daemon(folder):
        found = look(folder)
    found["log"] = (folder / "log").read_text()
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
