"""What a new user does in the first minutes, in Chromium, on the whole local stack."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        *("/", "/api-keys", "/users", "/status", "/account"),
        *("/explore", "/explore?q=load_1", "/metrics/load_1"),
    ],
)
def test_every_page_is_accessible_in_both_themes(
    page: Page, path: str, theme: str, check_accessible: Callable[[Page], None]
) -> None:
    page.add_init_script(f"localStorage.setItem('pulseboard-theme', '{theme}')")
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    check_accessible(page)


def test_the_theme_button_changes_the_theme(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_key_is_created_shown_once_and_revoked(page: Page) -> None:
    page.goto("/api-keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name").fill("web servers")
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog", name="Your new key")
    expect(dialog.locator("code")).to_contain_text("pb_")
    dialog.get_by_role("button", name="Done").click()
    expect(page.get_by_text("web servers")).to_be_visible()
    page.get_by_role("button", name="Revoke web servers").click()
    page.get_by_role("button", name="Revoke key").click()
    row = page.get_by_role("row").filter(has_text="web servers")
    expect(row.get_by_text("Revoked", exact=True)).to_be_visible()


def test_hosts_install_the_agent_from_the_pulseboard_they_send_to(
    stack: dict[str, str], tmp_path: Path
) -> None:
    snippet = Path(__file__).parents[2] / "docs" / "agents" / "snippets" / "agent.sh"
    name = snippet.read_text().partition("/agent/")[2].partition("'")[0]
    wheel = tmp_path / name
    wheel.write_bytes(httpx.get(f"{stack['url']}/agent/{name}", trust_env=False).content)
    # Python can import from a wheel, so this runs the package and not the work tree.
    ran = subprocess.run(
        [sys.executable, "-c", "import pulseboard.agent.cli as c; print(c.__file__); c.app()",
         "agent", "--dry-run"],
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )  # fmt: skip
    assert str(wheel) in ran.stdout
    assert "cpu_usage_percent" in ran.stdout
