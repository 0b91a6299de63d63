"""Finding what creates the most series, and deleting it."""

import json
import urllib.request
from collections.abc import Callable
from contextlib import suppress

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

pytestmark = pytest.mark.e2e


def _send(stack: dict[str, str], name: str, users: int) -> None:
    points = [
        {"name": name, "value": 1, "tags": {"user": f"u{number}", "shop": f"s{number % 3}"}}
        for number in range(users)
    ]
    request = urllib.request.Request(
        f"{stack['url']}/api/v1/metrics",
        data=json.dumps(points).encode(),
        headers={"Authorization": f"Bearer {stack['api_key']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 200


def test_a_high_cardinality_tag_is_found_and_its_series_are_deleted(
    page: Page, stack: dict[str, str], check_accessible: Callable[[Page], None]
) -> None:
    _send(stack, "exploded_total", 300)
    link = page.get_by_role("link", name="exploded_total")
    # What the page shows is up to a minute old: somebody may have looked a moment before.
    for _ in range(14):
        page.goto("/usage")
        expect(page.get_by_role("heading", name="Estimated monthly cost")).to_be_visible()
        page.get_by_label("Search metrics").fill("exploded")
        with suppress(PlaywrightTimeoutError):
            link.wait_for(timeout=5_000)
            break
    link.click()
    tags = page.get_by_role("region", name="Tags")
    expect(tags.get_by_role("row").nth(1)).to_contain_text("user")
    expect(tags.get_by_role("row").nth(1)).to_contain_text("300")
    check_accessible(page)
    page.get_by_role("button", name="s1 100").click()
    expect(page.get_by_label("Filter series by tags")).to_have_value('shop="s1"')
    page.get_by_role("button", name="Delete 100 series").click()
    dialog = page.get_by_role("dialog", name="Delete series?")
    expect(dialog).to_contain_text("100 series will be deleted with all their samples")
    check_accessible(page)
    dialog.get_by_role("button", name="Permanently delete 100 series").click()
    expect(page.get_by_text("100 series deleted.")).to_be_visible()
    expect(page.get_by_text("of 200")).to_be_visible()
    page.get_by_role("button", name="Delete metric").click()
    page.get_by_role("button", name="Permanently delete 200 series").click()
    expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    page.get_by_label("Search metrics").fill("exploded")
    expect(page.get_by_text("No metrics match “exploded”")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_tags_and_keys_are_accessible_in_both_themes(
    page: Page, theme: str, check_accessible: Callable[[Page], None]
) -> None:
    page.add_init_script(f"localStorage.setItem('pulseboard-theme', '{theme}')")
    page.goto("/usage")
    expect(page.get_by_role("link", name="cpu_usage_percent")).to_be_visible()
    check_accessible(page)
    page.get_by_role("tab", name="Tags").click()
    expect(page.get_by_role("cell", name="host", exact=True)).to_be_visible()
    check_accessible(page)
    page.get_by_role("tab", name="API keys").click()
    expect(page.get_by_role("region", name="API keys")).to_be_visible()
    check_accessible(page)
