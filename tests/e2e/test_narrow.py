"""Each page on a phone's width: nothing has to be scrolled sideways."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e
WIDTH = 390
PAGES = [
    "/",
    "/explore?q=cpu_mode_percent&q=load_1",
    "/alerts",
    "/alerts?tab=recording",
    "/alerts?tab=history",
    "/alerts?tab=silences",
    "/alerts?tab=channels",
    "/alerts?tab=notifications",
    "/alerts/new?query=load_1",
    "/metrics/load_1",
    "/add-data",
    "/usage",
    "/usage/cpu_mode_percent",
    "/status",
    "/api-keys",
    "/users",
    "/account",
]
# Text that is copied keeps its lines.
SIDEWAYS = """() => [...document.querySelectorAll('body *')]
  .filter((one) => ['auto', 'scroll'].includes(getComputedStyle(one).overflowX)
    && one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1 && !one.querySelector('pre'))
  .map((one) => `${one.tagName} ${one.getAttribute('aria-label') ?? one.className}`)"""


@contextmanager
def _listed(page: Page, origin: str) -> Iterator[None]:
    """One of everything that pages list, for a while."""
    headers = {"Origin": origin}
    api = "/api/v1/alerts"
    receiver = {"type": "webhook", "url": f"http://127.0.0.1:9/{'a-long-path/' * 9}"}
    rule = {
        "name": "A rule whose name is longer than a phone is wide, as names of rules are",
        "query": 'load_1{host!="a-host-with-a-name-that-is-longer-than-a-phone-is-wide"}',
        "condition": "gt",
        "threshold": -1,
        "labels": {"team": "a-team-with-a-name-that-is-longer-than-a-phone-is-wide"},
        "notification": {"channels": [receiver]},
    }
    silence = {
        "matchers": [{"label": "host", "operator": "=~", "value": "build-.*" * 9}],
        "endsAt": "2099-01-01T00:00:00Z",
        "comment": "Moving to the new rack",
    }
    created = []
    recording = {
        "name": "team:load:longest_name_of_a_metric_that_is_recorded",
        "query": "sum(load_1)",
        "group": "a-group-with-a-name-that-is-longer-than-a-phone-is-wide",
    }
    for path, body in (("rules", rule), ("silences", silence), ("recordings", recording)):
        made = page.request.post(f"{api}/{path}", data=body, headers=headers)
        assert made.ok, made.text()
        created.append(f"{api}/{path}/{made.json()['data']['id']}")
    for _ in range(600):
        if page.request.get(f"{api}/deliveries").json()["data"]:
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError("no notification was sent")
    yield
    for path in created:
        assert page.request.delete(path, headers=headers).ok


def test_no_page_scrolls_sideways_on_a_phone(page: Page, stack: dict[str, str]) -> None:
    found = {}
    with _listed(page, stack["url"]):
        page.set_viewport_size({"width": WIDTH, "height": 844})
        for path in PAGES:
            page.goto(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            page.wait_for_load_state("networkidle")
            wide = page.evaluate("document.documentElement.scrollWidth") > WIDTH
            found[path] = page.evaluate(SIDEWAYS) + (["the page itself"] if wide else [])
    assert {path: what for path, what in found.items() if what} == {}
