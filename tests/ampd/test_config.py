import ipaddress
from pathlib import Path

import pytest

from ampd.config import Config, load_config, parse_config
from ampd.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path("/etc/ampd/ampd.toml")


def test_shipped_file_shows_every_key_with_its_default() -> None:
    shipped = load_config(ROOT / "ampd.toml")
    default = Config()
    assert (shipped.jack, shipped.osc) == (default.jack, default.osc)
    assert (shipped.start_rig, shipped.memory_mb) == (default.start_rig, default.memory_mb)
    assert shipped.paths.rigs == ROOT / "rigs"
    assert shipped.paths.models == ROOT / "models"
    assert shipped.paths.cabs == ROOT / default.paths.cabs
    assert shipped.paths.cache == default.paths.cache
    assert shipped.paths.state == default.paths.state
    assert (shipped.output_level, shipped.input_dbu) == (default.output_level, default.input_dbu)


def test_shipped_file_names_all_keys() -> None:
    from ampd.config import KEYS  # noqa: PLC0415 (only this test looks inside)

    text = (ROOT / "ampd.toml").read_text()
    for section, keys in KEYS.items():
        assert f"\n[{section}]\n" in text
        for key in keys:
            assert f"\n{key} = " in text


def test_networks_are_the_private_ones_or_what_the_file_says() -> None:
    shipped = load_config(ROOT / "ampd.toml").control.networks
    assert shipped == Config().control.networks
    for text in shipped:
        assert ipaddress.ip_network(text).is_private
    text = '[control]\nnetworks = ["192.168.7.0/24", "fd00:1::/64", "10.1.2.3"]\n'
    found = parse_config(text, PLACE).control.networks
    assert found == ("192.168.7.0/24", "fd00:1::/64", "10.1.2.3/32")
    assert parse_config("[control]\nnetworks = []\n", PLACE).control.networks == ()


@pytest.mark.parametrize(
    "value", ['"10.0.0.0/8"', "[1]", '["10.0.0.1/8"]', '["home"]', "true", "[[]]"]
)
def test_what_is_no_network_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="a list of at most 32 networks"):
        parse_config(f"[control]\nnetworks = {value}\n", PLACE)


def test_folders_are_relative_to_the_file() -> None:
    text = '[paths]\nrigs = "my"\nmodels = "/srv/models"\ncabs = "speakers"\n'
    config = parse_config(text, PLACE)
    assert config.paths.rigs == Path("/etc/ampd/my")
    assert config.paths.models == Path("/srv/models")
    assert config.paths.cabs == Path("/etc/ampd/speakers")


def test_measurements_are_kept_where_the_file_or_else_the_system_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/kept")
    assert parse_config("", PLACE).paths.cache == Path("/var/kept/ampd")
    assert parse_config('[paths]\ncache = ""\n', PLACE).paths.cache == Path("/var/kept/ampd")
    assert parse_config('[paths]\ncache = "here"\n', PLACE).paths.cache == Path("/etc/ampd/here")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert Config().paths.cache == Path("/home/anna/.cache/ampd")


def test_state_is_kept_where_the_file_or_systemd_or_else_the_user_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert Config().paths.state == Path("/home/anna/.local/state/ampd")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/states")
    assert parse_config('[paths]\nstate = ""\n', PLACE).paths.state == Path("/var/states/ampd")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/ampd:/var/lib/more")
    assert parse_config("", PLACE).paths.state == Path("/var/lib/ampd")
    assert parse_config('[paths]\nstate = "here"\n', PLACE).paths.state == Path("/etc/ampd/here")


def test_empty_file_is_the_defaults() -> None:
    config = parse_config("", PLACE)
    assert config.jack.client_name == "ampd"
    assert config.osc.port == 9010
    assert config.paths.rigs == Path("/etc/ampd/rigs")
    assert config.paths.cabs == Path("/etc/ampd/models/cabs")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[osc]\nport = 70000\n",
            "[osc] port is 70000, expected a whole number from 0 to 65535.",
        ),
        (
            '[output]\nlevel = "loud"\n',
            "[output] level is 'loud', expected one of raw, normalized, calibrated.",
        ),
        (
            "[calibration]\ninput_dbu = nan\n",
            "[calibration] input_dbu is nan, expected a number from -40 to 40.",
        ),
        ("[osc]\nport = true\n", "[osc] port is True, expected a whole number from 0 to 65535."),
        (
            '[osc]\nhost = "0.0.0.0"\n',
            "[osc] host is '0.0.0.0', expected a loopback address such as 127.0.0.1.",
        ),
        (
            "[osc]\nprot = 1\n",
            "[osc] prot is not a key (did you mean port?); expected one of host, port.",
        ),
        (
            "[jak]\n",
            "[jak] is not a section (did you mean jack?); "
            "expected one of jack, osc, control, midi, paths, rig, bank, output, calibration.",
        ),
        ("rig = 3\n", "rig is 3, expected a section [rig]."),
        (
            '[rig]\nstart = "../x"\n',
            "[rig] start is '../x', expected 1 to 64 of the characters A-Z a-z 0-9 . _ -.",
        ),
        (
            '[jack]\noutputs = ["a", "b", "c"]\n',
            "[jack] outputs is ['a', 'b', 'c'], "
            "expected a list of at most 2 port names or patterns.",
        ),
        (
            '[jack]\nmidi_in = "a"\n',
            "[jack] midi_in is 'a', expected a list of at most 32 port names or patterns.",
        ),
        ("[bank]\nmemory_mb = 0\n", "[bank] memory_mb is 0, expected a whole number from 1 to"),
    ],
)
def test_bad_value_is_named_with_file_key_and_range(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PLACE)
    assert str(caught.value).startswith(f"{PLACE}: {sentence}")


def test_bad_toml_names_its_line() -> None:
    with pytest.raises(ConfigError, match=r"ampd\.toml: not TOML: .*line 2"):
        parse_config("[osc]\nport = = 3\n", PLACE)


@pytest.mark.parametrize(
    "text",
    [
        "[osc]\nport = " + "9" * 5000,
        "[osc]\nport = 0x" + "f" * 5000,
        "[osc]\nport = [" + "0x1," * 5000 + "]",
        "[" + "a" * 5000 + "]",
        "[osc]\n" + "a" * 5000 + " = 1",
        '[paths]\nrigs = "~nosuchuser/rigs"',
    ],
    ids=["decimal", "hexadecimal", "list", "section", "key", "nobody"],
)
def test_whatever_stands_there_is_told_in_one_short_sentence(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(text, PLACE)
    assert str(error.value).startswith(f"{PLACE}: ")
    assert len(str(error.value)) < 600
    assert "\n" not in str(error.value)


def test_missing_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read \(No such file"):
        load_config(tmp_path / "gone.toml")


def test_file_of_the_working_directory_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home" / "ampd").mkdir(parents=True)
    (tmp_path / "home" / "ampd" / "ampd.toml").write_text("[osc]\nport = 2\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert load_config().osc.port == 2
    (tmp_path / "ampd.toml").write_text("[osc]\nport = 1\n")
    assert load_config().osc.port == 1


def test_without_any_file_the_defaults_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()


def test_huge_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ampd.toml").write_text("#" * 300_000)
    with pytest.raises(ConfigError, match="larger than 256 kB"):
        load_config(tmp_path / "ampd.toml")
