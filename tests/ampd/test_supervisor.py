"""Names. The supervisor's life with a real server is in tests/e2e and tests/chaos."""

import pytest

from ampd.config import JackConfig
from ampd.supervisor import server_name


def test_server_is_named_by_setting_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JACK_DEFAULT_SERVER", raising=False)
    assert server_name(JackConfig()) == "default"
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "mine")
    assert server_name(JackConfig()) == "mine"
    assert server_name(JackConfig(server_name="other")) == "other"
