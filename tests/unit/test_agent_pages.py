"""What users copy is the same in the documents and in the web app, and leads somewhere."""

import re
from pathlib import Path

import pytest
import yaml

from infra.routes import routes
from pulseboard import __version__
from pulseboard.agent import relay
from pulseboard.core.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "agents"
SNIPPETS = sorted((PAGES / "snippets").iterdir())
OFFERED = (ROOT / "frontend/src/features/add-data/agents.ts").read_text(encoding="utf-8")
_ADDRESS = "https://pulseboard.example.com"


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda path: path.name)
def test_a_snippet_stands_in_its_page_and_in_the_web_app(snippet: Path) -> None:
    text = snippet.read_text(encoding="utf-8")
    assert _ADDRESS in text
    assert "pb_YOUR_KEY" in text
    assert f"snippets/{snippet.name}?raw" in OFFERED
    pages = [*PAGES.glob("*.md"), ROOT / "docs" / "agent.md"]
    assert any(text in page.read_text(encoding="utf-8") for page in pages)


def test_the_paths_in_them_are_routes() -> None:
    known = {route.path for route in routes()}
    for snippet in SNIPPETS:
        for path in re.findall(rf"{_ADDRESS}(/[\w/]+)", snippet.read_text(encoding="utf-8")):
            if not path.startswith("/agent/"):
                assert path in known, f"{path} in {snippet.name}"


def test_the_agent_is_installed_in_this_version() -> None:
    snippet = (PAGES / "snippets" / "agent.sh").read_text(encoding="utf-8")
    assert f"{_ADDRESS}/agent/pulseboard-{__version__}-py3-none-any.whl" in snippet


def test_every_page_is_in_the_index() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    for page in PAGES.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index


def test_collectors_that_relay_are_configured_for_what_the_server_takes() -> None:
    page = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    config = yaml.safe_load(text)
    pipeline = config["service"]["pipelines"]["metrics"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) <= set(config[kind]), kind
    assert set(config["service"]["extensions"]) == set(config["extensions"])
    exporter = config["exporters"]["otlphttp/pulseboard"]
    assert exporter["sending_queue"]["storage"] in config["extensions"], "a queue on disk"
    assert exporter["retry_on_failure"]["max_elapsed_time"] == 0, "it never gives up"
    most = Settings().ingest_max_points
    assert config["processors"]["batch"]["send_batch_max_size"] <= most
    assert most >= relay.MAX_POINTS
    flags = dict(re.findall(r"-(remoteWrite\.\w+)=(\S+)", page))
    assert int(flags["remoteWrite.maxRowsPerBlock"]) <= most
    assert flags["remoteWrite.url"].endswith("/api/v1/write")
    assert config["processors"]["batch"]["timeout"] == flags["remoteWrite.flushInterval"] == "10s"
