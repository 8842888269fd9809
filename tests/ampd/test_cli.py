"""The verbs as a user runs them; the daemon's own are in test_daemon.py."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ampd.cli import ADDERS
from ampd.finder import Finder
from ampd.library import Library
from tests.ampd.conftest import RATE_HZ, Served

ROOT = Path(__file__).resolve().parents[2]
VERBS = (
    *("run", "status", "rigs", "load", "set", "ports", "render", "check", "bench"),
    *("rig", "snapshot", "sets", "tune", "panic", "learn", "page", "pair", "layouts"),
    *("watch", "models", "irs", "doctor", "explain", "install-service", "uninstall-service"),
)


def ampd(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder)}
    argv = [sys.executable, "-m", "ampd.cli", *arguments]
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def at(served: Served) -> str:
    return str(served.port)


def test_help_teaches_every_verb_and_the_exit_codes(tmp_path: Path) -> None:
    done = ampd(tmp_path, "--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert f"\n    {verb}" in done.stdout
        assert ampd(tmp_path, verb, "--help").returncode == 0
    assert "exit codes: 0 done, 1" in done.stdout


def test_importing_any_module_imports_neither_torch_nor_libjack() -> None:
    code = (
        "import importlib, pathlib, sys\n"
        "for path in pathlib.Path('ampd').rglob('*.py'):\n"
        "    importlib.import_module('.'.join(path.with_suffix('').parts).removesuffix("
        "'.__init__'))\n"
        "print(sorted(m for m in ('torch', 'jack', 'trainer') if m in sys.modules))\n"
        "print('libjack' in pathlib.Path('/proc/self/maps').read_text())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["[]", "False"]


def test_help_does_not_load_the_engine() -> None:
    code = "import sys, ampd.cli; ampd.cli.build_parser(); print('ampd._engine' in sys.modules)"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def test_every_verb_is_where_the_command_line_looks_for_it() -> None:
    assert set(VERBS) == {verb for verbs in ADDERS.values() for verb in verbs}


def test_a_verb_loads_neither_the_other_verbs_nor_what_reads_rigs() -> None:
    code = (
        "import sys, ampd.cli\n"
        "ampd.cli.build_parser('models')\n"
        "loaded = {'yaml', 'logging', 'ampd.rig', 'ampd.learn_verb', 'ampd.client'}\n"
        "print(sorted(loaded & set(sys.modules)))\n"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['ampd.client']\n"


# What takes longer to load than a client may take to start.
SLOW = (
    *("asyncio", "dataclasses", "inspect", "logging", "numpy", "pathlib", "rich", "socket"),
    *("yaml", "ampd._engine", "ampd.command", "ampd.config", "ampd.view"),
)


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "name:tiny"),
        ("irs",),
        ("status", "--json"),
        ("load", "drive"),
        ("snapshot",),
        ("sets",),
        ("panic",),
    ],
)
@pytest.mark.parametrize("by_file", [False, True])
def test_what_a_daemon_answers_loads_nothing_slow(
    served: Served, tmp_path: Path, arguments: tuple[str, ...], by_file: bool
) -> None:
    """by_file: the port stands in a file that has every key; what reads TOML needs typing."""
    if by_file:
        text = (ROOT / "ampd.toml").read_text().replace("port = 9010", f"port = {served.port}")
        (tmp_path / "ampd.toml").write_text(text)
    where = () if by_file else ("--port", at(served))
    slow = SLOW if by_file else (*SLOW, "tomllib", "typing")
    finder = served.session._finder = Finder(served.library, tmp_path / "found")
    code = (
        "import sys\n"
        "bare = set(sys.modules)\n"
        "from ampd.__main__ import main\n"
        "main()\n"
        f"print(sorted({{*sys.modules}} & {{*{slow}}} - bare))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, *where],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    asyncio.run_coroutine_threadsafe(finder.stop(), served.loop).result(5)
    assert "No ampd answers" not in done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_mistake_in_ampd_toml_stops_a_panic_only_where_the_port_stands(
    served: Served, tmp_path: Path
) -> None:
    (tmp_path / "ampd.toml").write_text(f"[osc]\nport = {served.port}\n[bank]\nmemory_mb = 0\n")
    done = ampd(tmp_path, "panic")
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "ampd.toml").write_text(f"[osc]\nprot = {served.port}\n")
    done = ampd(tmp_path, "panic")
    assert (done.returncode, done.stderr) == (
        1,
        "ampd: ampd.toml: [osc] prot is not a key (did you mean port?); "
        "expected one of host, port.\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("load",),
        ("render", "a", "b"),
        ("render", "a", "b", "--rig", "x", "--model", "y"),
        ("status", "--port", "0"),
        ("run", "--rig", "a", "--model", "b"),
        ("render", "a", "b", "--rig", "x", "--block", "-1"),
        ("check",),
        ("check", "a", "--rate", "7999"),
        ("bench", "a", "--block", "0"),
    ],
)
def test_wrong_command_line_is_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert ampd(tmp_path, *arguments).returncode == 2


@pytest.mark.parametrize(
    "arguments", [("status",), ("load", "clean"), ("set", "mix", "1"), ("status", "--json")]
)
def test_without_a_daemon_code_3_says_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = ampd(tmp_path, *arguments, "--port", "9")
    assert done.returncode == 3
    assert done.stderr == (
        "ampd: No ampd answers at 127.0.0.1:9; start one with 'ampd run', "
        "or name its port by --port.\n"
    )


def test_rigs_without_a_daemon_reads_the_folder(library: Library, tmp_path: Path) -> None:
    (library.rigs_path / "bad.yaml").write_text("mix: 1\n]")
    done = ampd(tmp_path, "rigs", "--port", "9")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:3] == ["0\tclean", "1\tdrive", "2\tloud"]
    assert "bad.yaml:2: not YAML" in lines[3]


def test_rigs_without_any_is_a_sentence(tmp_path: Path) -> None:
    done = ampd(tmp_path, "rigs", "--port", "9")
    assert (done.returncode, done.stderr) == (1, "ampd: rigs: there is no rig (NAME.yaml).\n")


def test_load_set_status_and_rigs_reach_the_daemon(served: Served, tmp_path: Path) -> None:
    port = ("--port", at(served))
    done = ampd(tmp_path, "load", "drive", *port)
    assert (done.returncode, done.stdout) == (0, "drive\n")
    done = ampd(tmp_path, "set", "amp/gain_db", "-6", *port)
    assert (done.returncode, done.stdout) == (0, "amp/gain_db -6\n")
    assert ampd(tmp_path, "set", "/ampd/mute", "on", *port).stdout == "mute on\n"
    state = json.loads(ampd(tmp_path, "status", "--json", *port).stdout)
    assert (state["wanted_rig"], state["values"]["amp/gain_db"]) == ("drive", -6.0)
    text = ampd(tmp_path, "status", *port).stdout
    assert "drive" in text
    assert "MUTE" in text
    assert "clean -> drive, audible after" in text
    lines = ampd(tmp_path, "rigs", *port).stdout.splitlines()
    assert lines == ["0\tclean\tready", "1\tdrive\tplays", "2\tloud\tready"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("load", "nosuch"), "no rig nosuch"),
        (("set", "amp/gain_db", "loud"), "amp/gain_db: found 'loud', expected a number"),
        (("set", "nosuch/x", "1"), "nosuch/x: rig clean has no such address"),
        (("set", "mix", "nan"), "mix: found nan, expected a finite number"),
        (("set", "", "1"), "is not an address of ampd"),
    ],
)
def test_daemons_refusal_is_code_1(
    served: Served, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = ampd(tmp_path, *arguments, "--port", at(served))
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_render_writes_a_float_wav_and_says_so(library: Library, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(480), RATE_HZ)
    done = ampd(tmp_path, "render", "in.wav", "out.wav", "--rig", "drive", "--block", "7")
    assert done.returncode == 0
    assert done.stdout.startswith("out.wav: 480 frames, 1 channel, 48000 Hz, peak ")
    assert soundfile.info(tmp_path / "out.wav").subtype == "FLOAT"
    model = str(library.find_model("tiny"))
    done = ampd(tmp_path, "render", "in.wav", "out.wav", "--model", model, "--isa", "scalar")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("in.wav", "out.wav", "--rig", "nosuch"), "no rig nosuch"),
        (("in.wav", "out.wav", "--model", "nosuch.nam"), "nosuch.nam"),
        (("nosuch.wav", "out.wav", "--rig", "clean"), "nosuch.wav: cannot be read as sound"),
        (("in.wav", "out.wav", "--rig", "clean", "--isa", "mmx"), "--isa is 'mmx', expected auto"),
    ],
)
def test_render_of_bad_input_is_code_1(
    library: Library, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(480), RATE_HZ)
    done = ampd(tmp_path, "render", *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert not (tmp_path / "out.wav").exists()


def test_check_of_many_gives_one_line_a_file_and_code_1_where_one_is_bad(
    library: Library, tmp_path: Path
) -> None:
    good = ["rigs/clean.yaml", "rigs/drive.yaml", "models/tiny/tiny.json"]
    done = ampd(tmp_path, "check", *good)
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [(words[0], words[1], words[-1]) for words in lines] == [
        ("ok", "rig", good[0]),
        ("ok", "rig", good[1]),
        ("ok", "residual_wavenet", good[2]),
    ]
    (tmp_path / "bad.nam").write_text("{")
    done = ampd(tmp_path, "check", "bad.nam", *good)
    assert done.returncode == 1
    rows = done.stdout.splitlines()
    assert len(rows) == 4
    assert rows[0].startswith("bad  bad.nam: ")


def test_check_of_one_model_tells_all_that_a_player_asks(library: Library, tmp_path: Path) -> None:
    done = ampd(tmp_path, "check", "models/tiny/tiny.json")
    assert done.returncode == 0
    head, *lines = done.stdout.splitlines()
    assert head == "ok   models/tiny/tiny.json"
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert told["kind"] == "residual_wavenet, family ampd"
    assert told["size"].startswith("49 weights, ")
    assert told["field"] == "15 frames, 0.312 ms"
    assert told["rate"] == "48000 Hz"
    assert told["latency"] == "0 frames, 0 ms, at a host of 48000 Hz"
    assert told["loudness"].endswith("dBFS RMS measured; the file does not say")
    assert "% of a 64-frame period" in told["cost"]


def test_check_without_cost_measures_none(library: Library, tmp_path: Path) -> None:
    done = ampd(tmp_path, "check", "--no-cost", "--json", "models/tiny/tiny.json")
    assert json.loads(done.stdout)[0]["cost"] is None
    assert "cost" not in ampd(tmp_path, "check", "--no-cost", "models/tiny/tiny.json").stdout


def test_check_tells_programs_the_documented_keys_errors_included(
    library: Library, tmp_path: Path
) -> None:
    (tmp_path / "bad.nam").write_text("{")
    (tmp_path / "ampd.toml").write_text("[osc]\nport = 9010\n")
    files = ["models/tiny/tiny.json", "bad.nam", "rigs/drive.yaml", "ampd.toml"]
    done = ampd(tmp_path, "check", "--json", *files)
    assert done.returncode == 1
    model, bad, rig, settings = json.loads(done.stdout)
    assert [row["file"] for row in (model, bad, rig, settings)] == files
    assert [row["ok"] for row in (model, bad, rig, settings)] == [True, False, True, True]
    assert [row["kind"] for row in (model, bad, rig, settings)] == [
        "model",
        None,
        "rig",
        "settings",
    ]
    assert bad.keys() == {"file", "ok", "kind", "error"}
    assert bad["error"].startswith("bad.nam: ")
    help_text = ampd(tmp_path, "check", "--help").stdout
    documented = set(re.findall(r"\w+", help_text[help_text.index("--json: each") :]))
    for key in (*model, *bad, *rig, *settings, *model["cost"]):
        assert key in documented, key


def test_bench_goes_on_behind_a_bad_file_and_ends_in_code_1(
    tmp_path: Path, library: Library
) -> None:
    (tmp_path / "bad.nam").write_text("{}")
    done = ampd(tmp_path, "bench", "--json", "bad.nam", str(library.find_model("tiny")))
    assert done.returncode == 1
    assert [Path(row["file"]).name for row in json.loads(done.stdout)] == ["tiny.json"]
    assert done.stderr.startswith("ampd: bad.nam: ")
    assert done.stderr.count("\n") == 1


def test_bench_tells_costs_for_people_and_for_programs(tmp_path: Path, library: Library) -> None:
    model = str(library.find_model("tiny"))
    done = ampd(tmp_path, "bench", "--json", "--block", "16", "--isa", "generic", model)
    (row,) = json.loads(done.stdout)
    asked = (
        "file family architecture block isa ns_per_sample times_real_time percent_of_period "
        "mac_per_sample gmac_per_s peak_gmac_per_s fraction_of_peak"
    )
    assert set(asked.split()) == row.keys() - {"median_ns_per_sample"}
    assert (row["file"], row["family"], row["block"], row["isa"]) == (model, "ampd", 16, "generic")
    assert row["gmac_per_s"] == pytest.approx(
        row["mac_per_sample"] / row["ns_per_sample"], rel=0.01
    )
    assert row["fraction_of_peak"] == pytest.approx(
        row["gmac_per_s"] / row["peak_gmac_per_s"], rel=0.01
    )
    assert row["median_ns_per_sample"] >= row["ns_per_sample"]
    assert row["times_real_time"] == pytest.approx(100 / row["percent_of_period"], rel=0.05)
    assert "tiny.json" in ampd(tmp_path, "bench", model).stdout


def test_set_lists_shows_and_goes_half_way(served: Served, tmp_path: Path) -> None:
    port = ("--port", str(served.port))
    listed = ampd(tmp_path, "set", *port).stdout.splitlines()
    knobs = {line.split("\t")[0]: line.split("\t")[1:] for line in listed}
    assert knobs.keys() == served.session.state.params.keys()
    assert knobs["gain/gain_db"] == ["3", "-60 to 40 dB", "level of the signal from here on"]
    shown = ampd(tmp_path, "set", "mix", *port).stdout
    assert shown == "mix\t1\t0 to 1\t0 the dry guitar, 1 the rig\n"
    assert ampd(tmp_path, "set", "gain/gain_db", "50%", *port).stdout == "gain/gain_db -10\n"
    assert ampd(tmp_path, "set", "rig", "drive", *port).stdout == "rig drive\n"
    wrong = ampd(tmp_path, "set", "gian/gain_db", *port)
    assert wrong.returncode == 1
    assert "there is no such knob" in wrong.stderr
