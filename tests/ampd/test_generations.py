"""State files on a real disk: killed, full, read-only and lying ones."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ampd.errors import StateError
from ampd.generations import Generations
from ampd.kept import Kept, encode

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60
OLDEST, OLD, NEW = (Kept(rig) for rig in ("oldest", "old", "new"))
SAVE = """
import sys
from pathlib import Path
from ampd.generations import Generations
from ampd.kept import Kept
print("ready", flush=True)
try:
    Generations(Path(sys.argv[1]), "ampd").write(Kept("new"))
except OSError as error:
    print(error.strerror)
else:
    print("saved")
"""


@pytest.fixture
def files(tmp_path: Path) -> Generations:
    """Two generations, oldest and old."""
    return two(tmp_path / "state")


def two(folder: Path) -> Generations:
    files = Generations(folder, "ampd")
    files.write(OLDEST)
    files.write(OLD)
    return files


def boots_with(files: Generations) -> Kept | None:
    """What the next start finds: the newest, else the previous."""
    for path in (files.newest, files.previous):
        try:
            kept = files.read(path)
        except StateError:
            continue
        if kept is not None:
            return kept
    return None


def save(folder: Path, *before: str) -> str:
    """Save NEW in a process of its own behind the words `before`; what it said of it."""
    argv = [*before, sys.executable, "-c", SAVE, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        argv, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert "ready" in ended.stdout, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout.replace("ready", "").strip()


def straced(files: Generations, log: Path, *options: str) -> list[str]:
    """strace, over all that the save does with its folder and the three files in it."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    folder = files.newest.parent
    places = (folder, files.newest, files.previous, folder / ".ampd.state.new")
    where = [word for place in places for word in ("-P", str(place))]
    return ["strace", "-f", "-qq", "-o", str(log), *where, *options]


def calls(files: Generations, log: Path) -> list[str]:
    """The names of the save's system calls, in order."""
    said = save(files.newest.parent, *straced(files, log, "-e", "trace=%file,%desc"))
    if said != "saved":
        pytest.skip("strace may not trace here")
    return re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)


def test_save_makes_the_newest_the_previous_one(files: Generations) -> None:
    assert files.read(files.newest) == OLD
    assert files.read(files.previous) == OLDEST
    assert [path.name for path in sorted(files.newest.parent.iterdir())] == [
        "ampd.state",
        "ampd.state.previous",
    ]
    assert files.newest.stat().st_mode & 0o777 == 0o600


def test_nothing_there_is_nothing_kept(tmp_path: Path) -> None:
    files = Generations(tmp_path / "not" / "yet", "ampd")
    assert files.read(files.newest) is None
    files.write(NEW)
    assert files.read(files.newest) == NEW


def test_a_spoilt_newest_never_takes_the_place_of_a_good_previous(files: Generations) -> None:
    files.newest.write_bytes(encode(OLD)[:-9])
    files.write(NEW)
    assert files.read(files.newest) == NEW
    assert files.read(files.previous) == OLDEST


def test_two_daemons_of_other_names_share_a_folder(files: Generations) -> None:
    other = Generations(files.newest.parent, "bass")
    other.write(NEW)
    assert files.read(files.newest) == OLD
    assert other.read(other.newest) == NEW


def test_what_is_no_file_is_said_at_once(files: Generations) -> None:
    files.newest.unlink()
    files.newest.mkdir()
    with pytest.raises(StateError, match=r"ampd\.state: is no file\."):
        files.read(files.newest)
    files.newest.rmdir()
    os.mkfifo(files.newest)
    with pytest.raises(StateError, match=r"ampd\.state: is no file\."):
        files.read(files.newest)
    files.newest.unlink()
    files.newest.symlink_to("/dev/zero")
    with pytest.raises(StateError, match=r"ampd\.state: is no file\."):
        files.read(files.newest)


def test_a_huge_file_is_not_read_to_its_end(files: Generations) -> None:
    with files.newest.open("r+b") as file:
        file.truncate(1 << 31)
    with pytest.raises(StateError, match="spoilt"):
        files.read(files.newest)


def test_killed_at_any_system_call_of_a_save_leaves_old_or_new(tmp_path: Path) -> None:
    names = calls(two(tmp_path / "dry"), tmp_path / "log")
    assert {"openat", "write", "fsync", "rename", "close"} <= set(names)
    found = []
    for name in sorted(set(names)):
        for number in range(1, names.count(name) + 1):
            files = two(tmp_path / f"{name}-{number}")
            inject = f"inject={name}:signal=KILL:when={number}"
            save(files.newest.parent, *straced(files, tmp_path / "log", "-e", inject))
            kept = boots_with(files)
            assert kept in (OLD, NEW), f"{name} {number}"
            found.append(kept)
            files.write(NEW)  # what is left over does not hold up the next save
            assert files.read(files.newest) == NEW
    assert OLD in found, "nothing was killed"
    assert NEW in found


@pytest.mark.parametrize("trouble", ["ENOSPC", "EROFS", "EIO", "EDQUOT"])
@pytest.mark.parametrize("call", ["openat", "write", "fsync", "rename"])
def test_a_disk_that_refuses_leaves_what_was_kept_last(
    tmp_path: Path, files: Generations, call: str, trouble: str
) -> None:
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:error={trouble}:when=1+")
    said = save(files.newest.parent, *straced(files, tmp_path / "log", *inject))
    if not said:
        pytest.skip("strace may not trace here")
    assert said == os.strerror(getattr(errno, trouble))
    assert boots_with(files) == OLD
    files.write(NEW)
    assert (files.read(files.newest), files.read(files.previous)) == (NEW, OLD)


@pytest.mark.parametrize("written", [1, 100])
def test_a_write_that_lies_is_found_out(tmp_path: Path, files: Generations, written: int) -> None:
    inject = ("-e", "trace=write", "-e", f"inject=write:retval={written}:when=1")
    said = save(files.newest.parent, *straced(files, tmp_path / "log", *inject))
    if not said:
        pytest.skip("strace may not trace here")
    assert said == "what was written reads back otherwise"
    assert files.read(files.newest) == OLD


def limited(*words: str) -> Sequence[str]:
    return ("bash", "-c", f'{" ".join(words)}; exec "$@"', "bash")


def test_a_file_that_may_not_grow_leaves_the_old_state(files: Generations) -> None:
    assert save(files.newest.parent, *limited("ulimit -f 0")) == "File too large"
    assert files.read(files.newest) == OLD


def test_a_full_disk_leaves_the_old_state(tmp_path: Path) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("a small tmpfs needs root and the right to unshare")
    folder, copies = tmp_path / "small", tmp_path / "copies"
    folder.mkdir()
    copies.mkdir()
    two(copies)
    script = (
        f"mount -t tmpfs -o size=12k tmpfs {folder}; cp -p {copies}/* {folder}; "
        f"head -c 100000 /dev/zero >{folder}/rest 2>{tmp_path}/full; "
        f"trap 'cp {folder}/ampd* {copies}' 0; "
    )
    argv = ("unshare", "--mount", "bash", "-c", f'{script} "$@"', "bash")
    assert save(folder, *argv) == "No space left on device"
    assert boots_with(Generations(copies, "ampd")) == OLD
