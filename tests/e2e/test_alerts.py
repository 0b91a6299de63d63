"""From a metric that crosses its threshold to one notification, and the alert pages."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.receiver import Received, receiving, wait

pytestmark = pytest.mark.e2e


@pytest.fixture
def receiver() -> Iterator[tuple[str, Received]]:
    with receiving() as created:
        yield created


@pytest.fixture
def http(stack: dict[str, str]) -> Iterator[httpx.Client]:
    login = {"email": stack["email"], "password": stack["password"]}
    with httpx.Client(base_url=stack["url"] + "/api/v1", trust_env=False) as client:
        client.post("/auth/login", json=login).raise_for_status()
        yield client


def test_a_threshold_crossing_notifies_its_receiver_once(
    http: httpx.Client, receiver: tuple[str, Received]
) -> None:
    url, received = receiver
    rule = {
        "name": "Queue too long",
        "query": "e2e_queue_length",
        "condition": "gt",
        "threshold": 100,
        "duration": "10s",
        "window": "20s",
        "notification": {"channels": [{"type": "webhook", "url": url}]},
    }
    http.post("/alerts/rules", json=rule).raise_for_status()

    def events(value: float, status: str) -> list[dict[str, Any]]:
        point = {"name": "e2e_queue_length", "value": value, "tags": {"queue": "mail"}}
        http.post("/metrics", json=point).raise_for_status()
        found = http.get("/alerts/events", params={"status": status}).json()["data"]
        return [event for event in found if event["ruleName"] == rule["name"]]

    events(5, "firing")
    began = time.time()
    (event,) = wait("firing", lambda: events(250, "firing"))
    # The duration, two ticks, and the time to see it beside other tests.
    assert time.time() - began < 10 + 2 * 10 + 10
    assert event["tags"] == {"queue": "mail"}
    wait("the notification", lambda: received)
    (ended,) = wait("resolving", lambda: events(5, "resolved"))
    assert ended["id"] == event["id"]
    wait("the resolved notification", lambda: len(received) == 2)
    time.sleep(11)
    assert [body["status"] for _, body in received] == ["firing", "resolved"]
    assert len({key for key, _ in received}) == 2
    body = received[0][1]
    assert body["version"] == "4"
    assert body["alerts"][0]["labels"]["queue"] == "mail"
    assert body["alerts"][0]["generatorURL"].endswith(f"/alerts/{event['ruleId']}")


def test_the_seeded_rules_are_listed(page: Page, check_accessible: Callable[[Page], None]) -> None:
    page.goto("/alerts")
    page.get_by_role("link", name="High CPU", exact=True).click()
    expect(page.get_by_role("heading", name="High CPU")).to_be_visible()
    check_accessible(page)
    page.goto("/alerts")
    expect(page.get_by_role("link", name="Host silent", exact=True)).to_be_visible()
    check_accessible(page)
    for tab in ("History", "Silences", "Channels", "Notifications"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel")).to_be_visible()
        check_accessible(page)


def test_pages_are_accessible_in_the_dark_too(
    page: Page, check_accessible: Callable[[Page], None]
) -> None:
    page.add_init_script("localStorage.setItem('pulseboard-theme', 'dark')")
    for tab in ("rules", "history", "silences", "channels", "notifications"):
        page.goto(f"/alerts?tab={tab}")
        expect(page.get_by_role("tab", selected=True)).to_have_text(tab.capitalize())
        expect(page.get_by_role("tabpanel")).to_be_visible()
        check_accessible(page)
    page.goto("/alerts/new?query=cpu_usage_percent")
    page.get_by_label("Threshold").fill("90")
    check_accessible(page)


def test_a_firing_rule_is_silenced_copied_filtered_and_disabled_in_bulk(
    page: Page, http: httpx.Client, check_accessible: Callable[[Page], None]
) -> None:
    rule = {
        "name": "e2e fires",
        "query": "e2e_fires",
        "condition": "gt",
        "threshold": 1,
        "severity": "info",
        "labels": {"team": "e2e"},
        "runbookUrl": "https://wiki.example.com/fires",
    }
    created = http.post("/alerts/rules", json=rule).json()["data"]

    def firing() -> bool:
        point = {"name": "e2e_fires", "value": 5, "tags": {"host": "h1"}}
        http.post("/metrics", json=point).raise_for_status()
        return bool(http.get(f"/alerts/rules/{created['id']}").json()["data"]["firing"])

    wait("firing", firing)
    page.goto("/alerts?q=team%3De2e&state=firing&severity=info")
    page.get_by_role("link", name="e2e fires", exact=True).click()
    expect(page.get_by_role("link", name="Runbook")).to_have_attribute(
        "href", "https://wiki.example.com/fires"
    )
    page.get_by_role("button", name="Silence e2e fires host=h1").first.click()
    page.get_by_role("menuitem", name="for 1 hour").click()
    expect(page.get_by_text("Silenced", exact=True)).to_be_visible()
    check_accessible(page)
    (silence,) = [
        one for one in http.get("/alerts/silences").json()["data"] if one["author"] is not None
    ]
    assert {m["label"]: m["value"] for m in silence["matchers"]} == {
        "alertname": "e2e fires",
        "host": "h1",
        "severity": "info",
        "team": "e2e",
    }
    page.get_by_role("link", name="Explore", exact=True).last.click()
    expect(page).to_have_url(re.compile("/explore\\?q=e2e_fires"))
    page.goto(f"/alerts/{created['id']}")
    page.get_by_role("link", name="Duplicate").click()
    expect(page.get_by_label("Name")).to_have_value("e2e fires (copy)")
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_role("link", name="e2e fires (copy)", exact=True)).to_be_visible()
    page.get_by_label("Search rules").fill("team=e2e")
    expect(page.get_by_role("checkbox", name="Enable e2e fires")).to_have_count(2)
    page.get_by_role("checkbox", name="Select all rules").check()
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.get_by_text("Disabled", exact=True).locator("visible=true")).to_have_count(2)
    page.get_by_label("State").select_option("firing")
    expect(page.get_by_text("No matching rules")).to_be_visible()


def test_a_panel_becomes_a_rule(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name=re.compile("^This machine")).first.click()
    page.get_by_role("button", name="Menu of Load", exact=True).click()
    page.get_by_role("menuitem", name="Alert on this").click()
    expect(page.get_by_label("Name")).to_have_value("Load")
    expect(page.get_by_label("Query")).not_to_have_value("")


def has_samples(http: httpx.Client, query: str) -> bool:
    """Whether a metric has samples of the last minute."""
    now = int(time.time() * 1000)
    found = http.post("/query", json={"query": query, "start": now - 60_000, "end": now})
    return bool(found.json()["data"]["series"])


def test_a_rule_is_created_backtested_disabled_and_deleted(
    page: Page, http: httpx.Client, check_accessible: Callable[[Page], None]
) -> None:
    wait("samples of this machine", lambda: has_samples(http, "cpu_usage_percent"))
    page.goto("/alerts/new")
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_text("Enter a number.")).to_be_visible()
    page.get_by_label("Name").fill("Any CPU at all")
    page.get_by_label("Query").fill("cpu_usage_percent")
    page.get_by_label("Threshold").fill("-1")
    page.get_by_label("For", exact=True).fill("0s")
    page.get_by_role("button", name="Backtest").click()
    expect(page.get_by_text(re.compile("It would have fired"))).to_be_visible()
    check_accessible(page)
    page.get_by_role("button", name="Save rule").click()
    # The message with its button goes away by itself, on a busy machine before it is seen.
    page.get_by_role("link", name="Any CPU at all", exact=True).click()
    expect(page.get_by_role("heading", name="Any CPU at all")).to_be_visible()
    page.get_by_role("button", name="Evaluate now").click()
    expect(page.get_by_text(re.compile("No state was changed"))).to_be_visible()
    page.get_by_role("link", name=re.compile("^Alerts")).click()
    switch = page.get_by_role("checkbox", name="Enable Any CPU at all")
    expect(switch).to_be_checked()
    switch.click()
    expect(switch).not_to_be_checked()
    page.get_by_role("button", name="More for Any CPU at all").click()
    page.get_by_role("menuitem", name="Delete…").click()
    page.get_by_role("button", name="Delete rule").click()
    expect(page.get_by_role("link", name="Any CPU at all")).to_have_count(0)


def test_a_new_rule_is_listed_at_once_and_reopens_when_rejected(
    stack: dict[str, str], browser: Browser, signed_in: Any
) -> None:
    context = browser.new_context(storage_state=signed_in, base_url=stack["url"])
    page = context.new_page()
    held: list[Route] = []
    page.route(
        "**/api/v1/alerts/rules",
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    page.goto("/alerts/new")
    page.get_by_label("Name").fill("Hasty")
    page.get_by_label("Query").fill("sum(hasty")
    page.get_by_label("Threshold").fill("7")
    page.get_by_role("button", name="Save rule").click()
    row = page.get_by_role("row", name="Hasty")
    expect(row).to_contain_text("Saving…")
    held.pop().continue_()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Back to rule").click()
    expect(page.get_by_role("alert").filter(has_text="Not saved")).to_be_visible()
    expect(page.get_by_label("Threshold")).to_have_value("7")
    page.get_by_label("Query").fill("sum(hasty)")
    page.get_by_role("button", name="Save rule").click()
    expect(row).to_contain_text("Saving…")
    held.pop().continue_()
    expect(page.get_by_role("link", name="Hasty", exact=True)).to_be_visible()
    expect(row).to_have_count(1)
    expect(row).not_to_contain_text("Saving…")
    page.get_by_role("link", name="Edit Hasty").click()
    page.get_by_label("Threshold").fill("8")
    page.get_by_label("Query").fill("sum(hasty")
    page.get_by_role("button", name="Save rule").click()
    page.get_by_role("button", name="Back to rule").click()
    expect(page.get_by_label("Threshold")).to_have_value("8")
    page.get_by_label("Query").fill("sum(hasty)")
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_text("last > 8 for 1m")).to_be_visible()
    context.close()


def test_a_rejected_change_is_reverted(
    stack: dict[str, str], browser: Browser, signed_in: Any
) -> None:
    context = browser.new_context(storage_state=signed_in, base_url=stack["url"])
    page = context.new_page()
    page.goto("/alerts")
    switch = page.get_by_role("checkbox", name="Enable High CPU")
    expect(switch).to_be_checked()
    page.route("**/api/v1/alerts/rules/*", lambda route: route.abort())
    switch.click()
    expect(page.get_by_text("Pulseboard is not responding")).to_be_visible()
    expect(switch).to_be_checked()
    context.close()


def test_applying_a_rule_file_twice_changes_nothing(
    stack: dict[str, str], http: httpx.Client, tmp_path: Path
) -> None:
    key = http.post("/api-keys", json={"name": "files", "scopes": ["read", "write"]}).json()
    file = tmp_path / "rules.yaml"
    file.write_text(
        "groups: [{name: x, rules: [{alert: FromFile, expr: 'sum(rate(e2e_errors[1m])) > 3'},"
        " {record: y, expr: z}]}]"
    )
    command = [sys.executable, "-m", "pulseboard.agent.cli", "rules", "apply", str(file)]
    for word in ("created", "unchanged"):
        done = subprocess.run(
            [*command, "--url", stack["url"], "--key", key["data"]["key"]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = sorted(line.split() for line in done.stdout.splitlines())
        assert lines == [[word, "FromFile"], [word, "y"]]
    found = http.get("/alerts/rules", params={"search": "FromFile"}).json()["data"]
    assert [(rule["query"], rule["version"]) for rule in found] == [
        ("sum(rate(e2e_errors[1m]))", 1)
    ]


def test_a_channel_is_created_and_tested(page: Page, receiver: tuple[str, Received]) -> None:
    url, received = receiver
    page.goto("/alerts")
    page.get_by_role("tab", name="Channels").click()
    page.get_by_role("button", name="New channel").click()
    page.get_by_label("Name").fill("e2e receiver")
    page.get_by_label("URL").fill(url)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Test e2e receiver").click()
    expect(page.get_by_text("The receiver accepted the test notification.")).to_be_visible(
        timeout=30_000
    )
    assert received[0][1]["receiver"] == "e2e receiver"


def test_a_recording_rule_is_backtested_saved_backfilled_and_deleted(
    page: Page, http: httpx.Client, check_accessible: Callable[[Page], None]
) -> None:
    # Before the last whole minute, which is when a group without an interval is evaluated.
    stamp = int((time.time() - 90) * 1000)
    point = {"name": "e2e_requests", "value": 7, "tags": {"job": "api"}, "timestamp": stamp}
    http.post("/metrics", json=point).raise_for_status()
    page.goto("/alerts?tab=recording")
    page.get_by_role("button", name="New recording rule").click()
    dialog = page.get_by_role("dialog", name="New recording rule")
    dialog.get_by_label("Query").fill("sum by (job) (e2e_requests)")
    dialog.get_by_label("Metric").fill("job:e2e_requests:sum")
    dialog.get_by_label("Group", exact=True).fill("e2e")
    dialog.get_by_role("button", name="Backtest").click()
    expect(dialog.get_by_text(re.compile("It would have written"))).to_be_visible()
    check_accessible(page)
    dialog.get_by_role("button", name="Save rule").click()
    row = page.get_by_role("row", name=re.compile("job:e2e_requests:sum"))
    expect(row).to_contain_text("every 1m")
    check_accessible(page)
    page.get_by_role("button", name="Edit job:e2e_requests:sum").click()
    opened = page.get_by_role("dialog", name="Recording rule job:e2e_requests:sum")
    opened.get_by_role("button", name="Backfill").click()
    expect(page.get_by_text(re.compile("samples of . series are there now"))).to_be_visible()
    opened.get_by_role("button", name="Cancel").click()
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Delete job:e2e_requests:sum").click()
    expect(row).to_have_count(0)


def test_a_rule_that_fires_for_each_series_returned_has_no_threshold(
    page: Page, http: httpx.Client
) -> None:
    stamp = int((time.time() - 60) * 1000)
    point = {"name": "e2e_returned", "value": 7, "tags": {"job": "api"}, "timestamp": stamp}
    http.post("/metrics", json=point).raise_for_status()
    page.goto("/alerts/new")
    page.get_by_label("Name").fill("Returned")
    page.get_by_label("Query").fill("e2e_returned > 5 unless on (job) e2e_maintenance")
    page.get_by_label("Condition").select_option("returned")
    expect(page.get_by_label("Threshold")).to_have_count(0)
    expect(page.get_by_label("When there is no data")).to_have_count(0)
    page.get_by_role("button", name="Backtest").click()
    expect(page.get_by_label("Backtest").get_by_text(re.compile("1 series"))).to_be_visible()
    page.get_by_role("button", name="Save rule").click()
    page.get_by_role("link", name="Returned", exact=True).click()
    expect(page.get_by_text("each series returned for 1m")).to_be_visible()
