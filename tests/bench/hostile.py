"""What a hostile file costs the loader: one JSON line a file, each in a process of its own.

python -m tests.bench.hostile [FOLDER]: every file of the folder (default: the hostile corpus),
unpacked first where its name ends in .gz. A line has `file`, `verdict` (accept, reject, crash),
`expected` where the folder's index.json says it, `seconds` and `load_mb` (peak of resident memory
less that before the load), and `text`, the refusal. The last line is the summary. Exit 1 where a
verdict is not the expected one, a process died, or a refusal took over a second or 256 MB.
"""

import gzip
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "model-corpus" / "hostile"
MOST_SECONDS = 1.0
MOST_MB = 256.0
ADDRESS_SPACE = 2 << 30  # a bomb ends its own process, not the machine


def measure_here(path: str) -> dict[str, Any]:
    """Load one file in this process."""
    from ampd import _engine  # noqa: PLC0415  the parent never loads anything

    def peak_mb() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = peak_mb()
    start = time.perf_counter()
    row: dict[str, Any] = {"verdict": "accept", "text": ""}
    try:
        _engine.inspect_model(path)
    except _engine.LoadError as error:
        row = {"verdict": "reject", "text": str(error).removeprefix(path + ": ")}
    row["seconds"] = round(time.perf_counter() - start, 4)
    row["load_mb"] = round(peak_mb() - before, 1)
    return row


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def measure(path: Path) -> dict[str, Any]:
    """Load one file in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.hostile", "--one", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return {"verdict": "crash", "text": f"exit {done.returncode}: {last}"}
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def unpacked(path: Path, folder: Path) -> Path:
    if path.suffix != ".gz":
        return path
    target = folder / path.stem
    with gzip.open(path) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    return target


def is_right(row: dict[str, Any]) -> bool:
    if row["verdict"] == "crash":
        return False
    if row["verdict"] == "reject" and (row["seconds"] > MOST_SECONDS or row["load_mb"] > MOST_MB):
        return False
    return row.get("expected", "either") in ("either", row["verdict"])


def main(folder: Path) -> int:
    index = folder / "index.json"
    known = json.loads(index.read_text()) if index.exists() else []
    expected = {row["file"]: row["expect"] for row in known}
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for path in sorted(folder.iterdir()):
            if path == index:
                continue
            row = {"file": path.name, **measure(unpacked(path, Path(temporary)))}
            if path.name in expected:
                row["expected"] = expected[path.name]
            rows.append(row)
            print(json.dumps(row), flush=True)
    refused = [row for row in rows if row["verdict"] == "reject"]
    summary = {
        "files": len(rows),
        "refused": len(refused),
        "wrong": [row["file"] for row in rows if not is_right(row)],
        "slowest_refusal_s": max((row["seconds"] for row in refused), default=0),
        "largest_refusal_mb": max((row["load_mb"] for row in refused), default=0),
    }
    print(json.dumps(summary))
    return 1 if summary["wrong"] else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure_here(sys.argv[2])))
        sys.exit(0)
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS
    if not where.is_dir():
        print(f"{where} is absent, nothing measured; name a folder of files.", file=sys.stderr)
        sys.exit(0)
    sys.exit(main(where))
