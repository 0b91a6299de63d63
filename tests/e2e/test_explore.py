"""Ad-hoc queries, in Chromium."""

import re
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e


def test_a_query_is_completed_drawn_and_added_to_a_dashboard(
    page: Page, check_accessible: Callable[[Page], None]
) -> None:
    page.goto("/explore")
    expect(page.get_by_text("Enter a query")).to_be_visible()
    query = page.get_by_role("combobox", name="Query A")
    query.click()
    query.press_sequentially("load_1")
    completion = page.get_by_role("option").filter(has_text=re.compile(r"^load_1\d* series"))
    # The agent's first samples may not have arrived yet.
    while not completion.first.is_visible():
        page.wait_for_timeout(1_000)
        query.press("Backspace")
        query.press_sequentially("1")
    query.press("Escape")
    chart = page.get_by_role("region", name="Chart")
    expect(chart.locator("canvas")).to_be_visible()
    statistics = page.get_by_role("table", name="Query statistics")
    expect(statistics.get_by_role("cell", name="metrics_raw")).to_be_visible()
    expect(page.get_by_role("region", name="Values").get_by_role("table").last).to_be_visible()
    assert "q=load_1" in page.url
    check_accessible(page)

    page.get_by_role("button", name="Add query").click()
    page.get_by_role("combobox", name="Query B").fill('load_5{host="')
    error = page.get_by_role("group", name="Query B").get_by_text(re.compile("quoted text"))
    expect(error.first).to_be_visible()
    assert 'load_5{host="' in unquote(page.url)
    page.get_by_role("button", name="Remove query B").click()

    page.get_by_role("button", name="Add to dashboard").click()
    page.get_by_role("dialog").get_by_role("button", name="This machine").click()
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("region", name="load_1", exact=True)).to_be_visible()
