"""From nothing to the first sample, as a new user does it, with the snippets on the page."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e


def _create_key(page: Page) -> None:
    page.get_by_role("button", name="Create a key").click()
    expect(page.get_by_text("it will not be shown again")).to_be_visible()


def _text(page: Page, agent: str) -> str:
    return page.get_by_label(f"Configuration for {agent}").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_accessible(
    page: Page, theme: str, check_accessible: Callable[[Page], None]
) -> None:
    page.add_init_script(f"localStorage.setItem('pulseboard-theme', '{theme}')")
    page.goto("/add-data")
    expect(page.get_by_text("Waiting for a key")).to_be_visible()
    check_accessible(page)
    _create_key(page)
    expect(page.get_by_text("Waiting for the first sample")).to_be_visible()
    check_accessible(page)


def test_curl_as_the_page_shows_it_arrives(
    page: Page, check_accessible: Callable[[Page], None]
) -> None:
    page.goto("/")
    page.get_by_role("link", name="Add data").click()
    page.get_by_role("tab", name="curl").click()
    _create_key(page)
    command = _text(page, "curl")
    assert "pb_YOUR_KEY" not in command
    expect(page.get_by_text("Waiting for the first sample")).to_be_visible()
    subprocess.run(["bash", "-euc", command], check=True, capture_output=True, timeout=30)
    status = page.get_by_role("status").filter(has_text="Received")
    expect(status).to_contain_text("1 sample")
    expect(status.get_by_role("link", name="orders_total")).to_be_visible()
    check_accessible(page)
    # The secret is shown once; the status stays, since the URL holds the key's id.
    assert "pb_" not in page.url
    page.reload()
    expect(page.get_by_role("status").filter(has_text="Received")).to_be_visible()
    assert "pb_YOUR_KEY" in _text(page, "curl")


def test_python_as_the_page_shows_it_arrives(page: Page, tmp_path: Path) -> None:
    page.goto("/add-data?agent=python")
    _create_key(page)
    program = tmp_path / "send.py"
    program.write_text(_text(page, "Python"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], check=True, capture_output=True, text=True, timeout=30
    )
    assert "'accepted': 1" in done.stdout
    expect(page.get_by_role("status").filter(has_text="Received")).to_be_visible()


def test_by_keyboard_alone(page: Page) -> None:
    page.goto("/add-data")
    page.get_by_role("tab", name="Pulseboard agent").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("tab", name="Prometheus")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Create a key")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Waiting for the first sample")).to_be_visible()


def test_on_a_narrow_screen_further_pages_are_in_a_menu(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/add-data")
    page.get_by_role("button", name="More pages").click()
    page.get_by_role("menuitem", name="API keys").click()
    expect(page.get_by_role("heading", name="API keys")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
