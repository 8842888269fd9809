"""ampd models | irs: what lies in the library, found by words."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping

from ampd.client import Client, listens_at
from ampd.errors import UnreachableError
from ampd.help import IRS, MODELS

TYPE_CHECKING = False  # mypy takes it for typing's, which takes long to load
if TYPE_CHECKING:
    from typing import Any, TypeAlias

DEFAULT_ROWS = 100
MAX_ROWS = 1_000_000
Row: TypeAlias = "dict[str, Any]"
Page: TypeAlias = "dict[str, Any]"


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verbs to the command line; `verb` adds one; ampd.cli.KINDS."""
    models = verb(verbs, "models", list_models, "find models by name, gear, tone, cost", MODELS)
    irs = verb(verbs, "irs", list_irs, "find the impulse responses of cabinets", IRS)
    for parser in (models, irs):
        parser.add_argument("words", nargs="*", metavar="WORD", help="all of them must match")
        parser.add_argument(
            "--limit", type=_rows, metavar="N", help=f"rows, default {DEFAULT_ROWS}; 0 = all"
        )
        parser.add_argument("--json", action="store_true", help="a list of objects, for programs")
        parser.add_argument("--port", type=kinds["port"], metavar="N", help="the daemon's OSC port")


def _rows(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= MAX_ROWS:
        return int(text) or MAX_ROWS
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_ROWS}")


def list_models(options: argparse.Namespace) -> int:
    """ampd models [WORD...]"""
    return _list(options, "models", "model")


def list_irs(options: argparse.Namespace) -> int:
    """ampd irs [WORD...]"""
    return _list(options, "irs", "cab")


def _list(options: argparse.Namespace, path: str, kind: str) -> int:
    words = " ".join(options.words)
    limit = options.limit or (MAX_ROWS if options.json else DEFAULT_ROWS)
    rows, page = _found(options, path, kind, words, limit)
    if options.json:
        print(json.dumps(rows, indent=2))
    elif len(rows) == 1 and page["total"] == 1 and sys.stdout.isatty():
        print("\n".join(card(rows[0])))
    else:
        _print_table(kind, rows)
    if not options.json or not page["complete"]:
        for text in remarks(page, len(rows), path):
            print(text, file=sys.stderr)
    return 0


def _found(
    options: argparse.Namespace, path: str, kind: str, words: str, limit: int
) -> tuple[list[Row], Page]:
    """The rows, and the last page of them: from the daemon, or without one from here."""
    host, port = listens_at(options.config, options.port)
    try:
        return _gather(_ask(host, port, path, words), limit)
    except UnreachableError:
        if options.port is not None:
            raise
        return _gather(_look(options.config, kind, words), limit)


def _gather(pages: Iterator[Page], limit: int) -> tuple[list[Row], Page]:
    rows: list[Row] = []
    page: Page = {}
    for page in pages:
        rows += page["entries"]
        if len(rows) >= min(limit, page["total"]) or not page["entries"]:
            break
    return rows[:limit], page


def _ask(host: str, port: int, path: str, words: str) -> Iterator[Page]:
    offset = 0
    with Client(host, port) as client:
        while True:
            page: Page = json.loads(str(client.ask(path, [words, offset])[0]))
            yield page
            offset += len(page["entries"])


def _look(settings: str | None, kind: str, words: str) -> Iterator[Page]:
    """Without a daemon: bring the index up to date and search it here."""
    from ampd.config import load_config  # noqa: PLC0415
    from ampd.finder import INDEX_FILE, search  # noqa: PLC0415
    from ampd.index import Index  # noqa: PLC0415
    from ampd.library import Library  # noqa: PLC0415
    from ampd.passports import Store  # noqa: PLC0415
    from ampd.scan import scan_for  # noqa: PLC0415

    paths = load_config(settings).paths
    library = Library(paths.rigs, paths.models, paths.cabs)
    store = Store(paths.cache)
    index = Index(paths.cache / INDEX_FILE)
    try:
        scan_for(index, library, kind, _progress if sys.stderr.isatty() else None)
        offset = 0
        while True:
            page: Page = json.loads(search(index, library, store, kind, words, offset).to_json())
            yield page
            offset += len(page["entries"])
    finally:
        index.close()


def _progress(read: int) -> None:
    print(f"\rreading what is new: {read}", end="\r", file=sys.stderr)


def remarks(page: Page, shown: int, path: str) -> list[str]:
    """What the rows themselves do not say."""
    texts = []
    total = page["total"]
    if total == 0:
        texts.append(
            f"Nothing matches; 'ampd {path}' alone lists all, 'ampd {path} --help' has the words."
            if page["words"]
            else "There is nothing in the library's folder yet ([paths] in ampd.toml)."
        )
    elif shown < total:
        texts.append(f"{shown} of {total}; more words narrow it, --limit 0 shows all.")
    if not page["complete"]:
        texts.append("The daemon is still looking through the library: there may be more.")
    if page["note"]:
        texts.append(page["note"])
    return texts


MODEL_HEAD = ("name", "gear", "tone", "kind", "weights", "kHz")
CAB_HEAD = ("name", "kind", "kHz", "channels", "length")


def cells(kind: str, row: Row) -> list[str]:
    """What a list shows of a row."""
    rate = f"{row['rate_hz'] / 1000:g}" if "rate_hz" in row else ""
    if row.get("reason"):
        return [row["name"], f"not usable: {row['reason']}"]
    if kind == "cab":
        length = f"{1000 * row.get('seconds', 0):.0f} ms"
        return [row["name"], row.get("family", ""), rate, str(row.get("channels", "")), length]
    made = " ".join(row.get(key, "") for key in ("family", "architecture")).strip()
    weights = f"{row['weights']:,}" if "weights" in row else ""
    return [row["name"], row.get("gear", ""), row.get("tone", ""), made, weights, rate]


def _print_table(kind: str, rows: list[Row]) -> None:
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(cells(kind, row)).rstrip())
        return
    head = MODEL_HEAD if kind == "model" else CAB_HEAD
    width = shutil.get_terminal_size().columns
    for line in table(head, [cells(kind, row) for row in rows], width):
        print(line)


NUMERIC = ("weights", "kHz", "channels", "length")
GAP = 2


def table(head: tuple[str, ...], rows: list[list[str]], width: int) -> list[str]:
    """Lines of at most `width` columns; texts give way to figures, a trouble runs to the end."""
    if not rows:
        return []
    full = [row for row in rows if len(row) == len(head)]
    widths = [max(len(row[n]) for row in [list(head), *full]) for n in range(len(head))]
    widths[0] = max(widths[0], *(len(row[0]) for row in rows))
    while sum(widths) + GAP * (len(widths) - 1) > width:
        widest = max(
            (n for n in range(len(head)) if head[n] not in NUMERIC), key=widths.__getitem__
        )
        if widths[widest] <= len(head[widest]):
            break
        widths[widest] -= 1
    lines = []
    for row in [list(head), *rows]:
        if len(row) == len(head):
            parts = [
                _fit(cell, size, name in NUMERIC)
                for cell, size, name in zip(row, widths, head, strict=True)
            ]
        else:
            parts = [_fit(row[0], widths[0], False), row[1]]
        lines.append((" " * GAP).join(parts).rstrip()[:width])
    return lines


def _fit(text: str, width: int, right: bool) -> str:
    if len(text) > width:
        text = text[: max(0, width - 1)] + "~"
    return text.rjust(width) if right else text.ljust(width)


def card(row: Row) -> list[str]:
    """All that is known of one file, a line each."""
    lines = [row.get("title") or row["name"]]
    passport = row.get("passport") or {}
    cost = passport.get("cost") or {}
    known = {
        "rig says": f"model: {row['name']}" if "weights" in row else f"impulse: {row['name']}",
        "trouble": row.get("reason"),
        "gear": row.get("gear"),
        "tone": row.get("tone"),
        "made by": row.get("author"),
        "kind": " ".join(row.get(key, "") for key in ("family", "architecture")).strip(),
        "weights": f"{row['weights']:,}" if "weights" in row else None,
        "rate": f"{row['rate_hz']} Hz" if "rate_hz" in row else None,
        "length": f"{1000 * row['seconds']:.0f} ms" if "seconds" in row else None,
        "loudness": f"{passport['loudness_lufs']:.1f} LUFS" if passport else None,
        "cost": (
            f"{cost['percent_of_period']:.2f} % of a core, {cost['ns_per_sample']:.0f} ns a sample"
            if cost
            else f"not measured here; 'ampd check {row['path']}' does" * ("weights" in row)
        ),
        "file": f"{row['path']}, {row['size_bytes'] / 1000:,.0f} kB",
        "sha256": row.get("sha256"),
    }
    return lines + [f"  {name:<9} {text}" for name, text in known.items() if text]
