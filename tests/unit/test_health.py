"""What anybody may ask: alive, which version, where agents send."""

import pytest

from functions.auth.routes import get_health
from pulseboard.core.settings import settings


def test_health_says_where_agents_send_when_that_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PULSEBOARD_AGENT_URL", raising=False)
    settings.cache_clear()
    try:
        assert get_health().data.agent_url is None
        monkeypatch.setenv("PULSEBOARD_AGENT_URL", "https://x.execute-api.example.com")
        settings.cache_clear()
        assert get_health().data.agent_url == "https://x.execute-api.example.com"
    finally:
        monkeypatch.undo()
        settings.cache_clear()
