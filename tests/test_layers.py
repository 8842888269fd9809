"""Arrows point down only: who may import or include whom, and a README that tells the truth."""

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE_LINES = 600

# Low to high; a module imports from lower rows only.
PYTHON_LAYERS: tuple[tuple[str, ...], ...] = (
    ("ampd",),  # the package itself: its version
    (
        "ampd.codes",
        "ampd.doctor",
        "ampd.errors",
        "ampd.help",
        "ampd.journal",
        "ampd.midi",
        "ampd.places",
        "ampd.probe",
        "ampd.rig_starter",
        "ampd.screen",
        "ampd.tree",
        "ampd.units",
        "ampd.watch_view",
        "ampd.wav",
    ),
    (
        "ampd.cabinet",
        "ampd.pairing",
        "ampd.passports",
        "ampd.profiles",
        "ampd.rig_yaml",
        "ampd.settings",
    ),
    ("ampd.config", "ampd.headstart", "ampd.rig_chain"),
    ("ampd.rig",),
    ("ampd.command", "ampd.edit", "ampd.midi_file", "ampd.sets"),
    ("ampd.library", "ampd.skim", "ampd.state"),
    ("ampd.bank", "ampd.index", "ampd.wiring"),
    ("ampd.kept", "ampd.scan"),
    ("ampd.finder", "ampd.generations"),
    ("ampd.observer", "ampd.levels", "ampd.rack"),
    ("ampd.driver", "ampd.rehearsal", "ampd.upload", "ampd.vetting"),
    ("ampd.stock",),
    ("ampd.session",),
    (
        "ampd.control",
        "ampd.encore",
        "ampd.keeper",
        "ampd.notify",
        "ampd.offline",
        "ampd.passport",
        "ampd.resume",
        "ampd.supervisor",
        "ampd.watcher",
    ),
    ("ampd.client", "ampd.rig_view", "ampd.view"),
    ("ampd.daemon", "ampd.watch"),
    (
        "ampd.doctor_verb",
        "ampd.explain_verb",
        "ampd.file_verbs",
        "ampd.learn_verb",
        "ampd.library_verbs",
        "ampd.live_verbs",
        "ampd.page_verb",
        "ampd.remote_verbs",
        "ampd.rig_verbs",
        "ampd.run_verbs",
        "ampd.service_verb",
        "ampd.set_verb",
        "ampd.watch_verb",
    ),
    ("ampd.cli",),
    ("ampd.__main__",),
)
ENGINE_MODULE = "ampd._engine"
ENGINE_IMPORTERS = ("ampd.rack", "ampd.headstart")

# A unit of the engine and the units it may include; "core" is every file of ampd/engine itself
# that is no host and no binding.
CPP_ARROWS: Mapping[str, frozenset[str]] = {
    "rt": frozenset(),
    "dsp": frozenset({"rt"}),
    "nn": frozenset({"dsp", "rt"}),
    "block": frozenset({"rt", "dsp"}),
    "blocks": frozenset({"nn", "dsp", "block", "rt"}),
    "core": frozenset({"blocks", "nn", "dsp", "block", "rt"}),
    "host": frozenset({"core", "blocks", "nn", "dsp", "block", "rt"}),
    "python": frozenset({"host", "core", "blocks", "nn", "dsp", "block", "rt"}),
}
CPP_HOSTS = ("jack", "offline")
FOREIGN = re.compile(r"^(jack/|nanobind/|Python\.h|pybind11/)")


def module_name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, modules: Iterable[str]) -> set[str]:
    """Every module that a file imports, wherever in the file; `from a import b` is a.b if that is
    a module, and a otherwise."""
    known = {*modules, ENGINE_MODULE}
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in known else base)
    return found


def layer(module: str) -> int:
    """Row of PYTHON_LAYERS; -1 for a module that has none."""
    for row, names in enumerate(PYTHON_LAYERS):
        if module in names or any(module.startswith(f"{n}.") for n in names if n != "ampd"):
            return row
    return -1


def _import_fault(module: str, target: str) -> str:
    top, target_top = module.split(".")[0], target.split(".")[0]
    if target.startswith("."):
        return "relative import: write the whole name"
    if {top, target_top} == {"ampd", "trainer"}:
        return "ampd and trainer never import each other"
    if fault := _foreign_fault(module, target_top):
        return fault
    if top != "ampd" or target_top != "ampd":
        return ""
    if target == ENGINE_MODULE:
        return (
            ""
            if module in ENGINE_IMPORTERS
            else f"only {' and '.join(ENGINE_IMPORTERS)} import the engine"
        )
    if layer(module) < 0 or layer(target) < 0:
        return "a module without a layer: give it its row in test_layers.py"
    siblings = module.rpartition(".")[0] == target.rpartition(".")[0] == "ampd.control"
    if layer(target) > layer(module) or (layer(target) == layer(module) and not siblings):
        return "an arrow that points up or sideways" if target != module else ""
    return ""


def _foreign_fault(module: str, package: str) -> str:
    if package == "torch" and module.startswith("ampd"):
        return "the daemon never imports torch"
    if package == "ray" and not module.startswith("trainer.cluster"):
        return "only trainer.cluster imports ray"
    return ""


def python_faults(root: Path) -> list[str]:
    """Every import under root/ampd and root/trainer that breaks an arrow, as one line each."""
    files = [*(root / "ampd").rglob("*.py"), *(root / "trainer").rglob("*.py")]
    modules = {module_name(root, path): path for path in files}
    return [
        f"{module} imports {target}: {fault}"
        for module, path in sorted(modules.items())
        for target in sorted(imports(path, modules))
        if (fault := _import_fault(module, target))
    ]


def cpp_unit(relative: Path) -> str:
    """Which unit of CPP_ARROWS a file of ampd/engine belongs to."""
    if len(relative.parts) > 1:
        return relative.parts[0]
    stem = relative.stem
    if stem in CPP_HOSTS:
        return "host"
    return stem if stem in ("rt", "block", "python") else "core"


def includes(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)


def include_graph(engine: Path) -> dict[Path, list[Path]]:
    """Own includes of every source, by path relative to the engine; found as the compiler would:
    beside the file, then from the engine's root."""
    files = [p for p in engine.rglob("*") if p.suffix in (".hpp", ".cpp", ".inl")]
    graph: dict[Path, list[Path]] = {}
    for path in files:
        own = [
            place.resolve().relative_to(engine.resolve())
            for name in includes(path)
            for place in (path.parent / name, engine / name)
            if place.is_file()
        ]
        graph[path.relative_to(engine)] = list(dict.fromkeys(own))
    return graph


def cpp_faults(engine: Path) -> list[str]:
    """Every include that breaks an arrow, and every loop, as one line each."""
    graph = include_graph(engine)
    faults = [f"{' -> '.join(map(str, loop))}: an include loop" for loop in _loops(graph)]
    for path, targets in sorted(graph.items()):
        unit = cpp_unit(path)
        allowed = CPP_ARROWS.get(unit)
        if allowed is None:
            faults.append(f"{path}: folder {unit} has no arrows: give it its row in test_layers.py")
            continue
        faults += [
            f"{path} includes {target}: {unit} may not see {cpp_unit(target)}"
            for target in targets
            if cpp_unit(target) not in {unit, *allowed}
        ]
        if unit not in ("host", "python"):
            faults += [
                f"{path} includes {name}: the core knows neither JACK nor Python"
                for name in includes(engine / path)
                if FOREIGN.match(name)
            ]
    return faults


def _loops(graph: Mapping[Path, list[Path]]) -> list[list[Path]]:
    loops: list[list[Path]] = []
    done: set[Path] = set()

    def walk(path: Path, trail: list[Path]) -> None:
        if path in trail:
            loops.append([*trail[trail.index(path) :], path])
        elif path not in done:
            for target in graph.get(path, []):
                walk(target, [*trail, path])
            done.add(path)

    for path in graph:
        walk(path, [])
    return loops


def tree_faults(root: Path) -> list[str]:
    """Paths of the README's tree that are not on disk, and what is on disk but not in the tree.

    The tree is the code block that begins with README.md. A path stands first on its line, folders
    end in a slash; indentation is depth. Everything in a folder that the tree opens must be listed.
    """
    text = (root / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```\n(README\.md .*?)^```", text, re.MULTILINE | re.DOTALL)
    if not block:
        return ["README.md: no tree (a code block that begins with README.md)"]
    listed: set[str] = set()
    opened: list[str] = []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r" {2,}", line.strip())[0].split(" ")
        opened = opened[:depth]
        listed |= {"".join(opened) + name for name in names}
        if names[0].endswith("/"):
            opened.append(names[0])
    faults = [f"README.md lists {name}: not on disk" for name in listed if not _there(root, name)]
    parents = {
        "",
        *(str(Path(name).parent) + "/" for name in listed if Path(name).parent != Path()),
    }
    for parent in sorted(parents):
        on_disk = _listing(root / parent)
        faults += [
            f"{parent}{name} is on disk but not in README.md"
            for name in on_disk
            if f"{parent}{name}" not in listed
        ]
    return sorted(faults)


def _there(root: Path, name: str) -> bool:
    return (root / name).is_dir() if name.endswith("/") else (root / name).is_file()


def _listing(folder: Path) -> list[str]:
    hidden = {"__init__.py", "__pycache__", "build", "dist"}
    return [
        path.name + "/" * path.is_dir()
        for path in folder.iterdir()
        if path.name not in hidden and not path.name.startswith(".") and path.suffix != ".so"
        if not path.name.endswith(".egg-info")
    ]


def long_files(root: Path) -> list[str]:
    """Sources that have grown past what one reads at a sitting."""
    rooms = ("ampd", "trainer", "tests")
    sources = [p for room in rooms for p in (root / room).rglob("*") if p.suffix in SOURCE_SUFFIXES]
    counted = [(path, len(path.read_text(encoding="utf-8").splitlines())) for path in sources]
    return [f"{path}: {lines} lines" for path, lines in counted if lines > MAX_FILE_LINES]


SOURCE_SUFFIXES = (".py", ".pyi", ".hpp", ".cpp", ".inl")


def plant(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_python_arrows_point_down() -> None:
    assert python_faults(ROOT) == []


def test_includes_point_down() -> None:
    assert cpp_faults(ROOT / "ampd" / "engine") == []


def test_tree_in_readme_is_the_tree_on_disk() -> None:
    assert tree_faults(ROOT) == []


def test_no_source_is_too_long() -> None:
    assert long_files(ROOT) == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("ampd/errors.py", "from ampd.config import Config", "points up"),
        ("ampd/config.py", "import ampd.rig", "sideways"),
        ("ampd/library.py", "def f():\n    from ampd import session", "points up"),
        ("ampd/daemon.py", "from ampd import _engine", "only ampd.rack"),
        ("ampd/daemon.py", "from ampd._engine import Engine", "only ampd.rack"),
        ("ampd/control/osc.py", "import ampd.daemon", "points up"),
        ("ampd/state.py", "import torch.nn", "never imports torch"),
        ("ampd/cli.py", "from trainer import data", "never import each other"),
        ("trainer/data.py", "import ampd.rig", "never import each other"),
        ("trainer/sweep.py", "def f():\n    from ray import tune", "only trainer.cluster"),
        ("ampd/cli.py", "from . import rig", "relative import"),
        ("ampd/rumour.py", "from ampd import errors", "without a layer"),
    ],
)
def test_planted_import_is_caught(tmp_path: Path, name: str, text: str, fault: str) -> None:
    names = ("errors", "config", "rig", "library", "state", "session", "daemon", "cli")
    root = plant(tmp_path, {f"ampd/{module}.py": "" for module in names})
    assert python_faults(root) == []
    faults = python_faults(plant(root, {name: text}))
    assert len(faults) == 1
    assert fault in faults[0]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("engine.cpp", '#include "jack.hpp"', "core may not see host"),
        ("offline.cpp", "#include <nanobind/nanobind.h>", None),
        ("chain.cpp", "#include <jack/jack.h>", "neither JACK nor Python"),
        ("chain.cpp", "  #  include <Python.h>", "neither JACK nor Python"),
        ("dsp/ramp.hpp", '#include "../nn/model.hpp"', "dsp may not see nn"),
        ("nn/model.hpp", '#include "block.hpp"', "nn may not see block"),
        ("blocks/gain.cpp", '#include "chain.hpp"', "blocks may not see core"),
        ("rt.hpp", '#include "mailbox.hpp"', "rt may not see core"),
        ("chain.hpp", '#include "audio.hpp"\n', "an include loop"),
        ("gui/face.cpp", "", "folder gui has no arrows"),
    ],
)
def test_planted_include_is_caught(tmp_path: Path, name: str, text: str, fault: str | None) -> None:
    files = {"audio.hpp": '#include "chain.hpp"', "nn/model.hpp": "", "jack.hpp": ""}
    empty = ("chain.hpp", "block.hpp", "rt.hpp", "mailbox.hpp")
    engine = plant(tmp_path, {**files, **dict.fromkeys(empty, "")})
    assert cpp_faults(engine) == []
    faults = cpp_faults(plant(engine, {name: text}))
    if fault is None:
        assert faults == []
    else:
        assert len(faults) == 1
        assert fault in faults[0]


def test_wrong_tree_is_caught(tmp_path: Path) -> None:
    tree = "# x\n```\nREADME.md   this\nroom/       a room\n  a.py b.py   two\n```\n"
    root = plant(tmp_path, {"README.md": tree, "room/a.py": "", "room/b.py": ""})
    assert tree_faults(root) == []
    (root / "room" / "b.py").rename(root / "room" / "c.py")
    assert tree_faults(root) == [
        "README.md lists room/b.py: not on disk",
        "room/c.py is on disk but not in README.md",
    ]
    plant(root, {"README.md": "# nothing"})
    assert "no tree" in tree_faults(root)[0]


def test_long_file_is_caught(tmp_path: Path) -> None:
    root = plant(tmp_path, {"ampd/long.py": "x = 1\n" * (MAX_FILE_LINES + 1), "tests/a.py": ""})
    assert len(long_files(root)) == 1
