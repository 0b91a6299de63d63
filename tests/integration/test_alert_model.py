"""What each receiver believes, through everything that people change and that fails, over the real
parts: rules, channels, silences and acknowledgements by the API, ticks on the database, and
notifications sent over HTTP by `notify`.

`tests/unit/test_notification_log.py` plays the log alone, in more and longer runs. Here a few
generated ones are played beside some that once went wrong; `PULSEBOARD_TEST_EXAMPLES=200`: more.
"""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.evaluate import handler as evaluate
from functions.evaluate import tick
from functions.notify import handler as notify
from pulseboard.alerts.state_machine import TICK
from pulseboard.core import process_state
from pulseboard.core.settings import settings as configured

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"
EXAMPLES = int(os.environ.get("PULSEBOARD_TEST_EXAMPLES", "2"))
HOSTS = ("a", "b", "c")
ADDRESSES = ("x", "y", "z")
WORKS = ("ok", "refuses", "fails before", "fails after")
"""How a receiver responds: 204; 404; 500, without or after taking what came."""
LEASE = LONGEST = 20.0
INTERVALS = 20.0
"""The longest that the rules here ask for, group wait and interval together."""

Alert = frozenset[tuple[str, str]]
Change = tuple[str, tuple[Any, ...]]
Step = tuple[list[Change], int, bool]
"""What changes, and how many ticks follow, each of which may come twice."""


@dataclass
class Receivers:
    """HTTP receivers by path, how each responds, and the alerts that each believes to fire."""

    port: int = 0
    works: dict[str, str] = field(default_factory=dict)
    believed: dict[str, dict[str, Alert]] = field(default_factory=dict)
    """By receiver and fingerprint."""

    def take(self, path: str, body: dict[str, Any]) -> int:
        """The status of the response."""
        works = self.works.get(path, "ok")
        if works in ("ok", "fails after"):
            known = self.believed.setdefault(path, {})
            for alert in body["alerts"]:
                if alert["status"] == "firing":
                    known[alert["fingerprint"]] = frozenset(alert["labels"].items())
                else:
                    known.pop(alert["fingerprint"], None)
        return {"ok": 204, "refuses": 404}.get(works, 500)

    def address(self, name: str) -> dict[str, str]:
        return {"type": "webhook", "url": f"http://127.0.0.1:{self.port}/{name}"}


@contextmanager
def receiving() -> Iterator[Receivers]:
    receivers = Receivers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(receivers.take(self.path.strip("/"), body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receivers.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receivers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Rule:
    """What is known of a rule. `firing` are the hosts that its last tick found."""

    id: str
    metric: str
    selector: bool = True
    """Whether its query is a metric; else an expression."""
    scale: int = 1
    """The query multiplies by it: another query of the same meaning."""
    name: str = ""
    severity: str = "info"
    labels: dict[str, str] = field(default_factory=dict)
    channels: set[str] = field(default_factory=set)
    enabled: bool = True
    firing: set[str] = field(default_factory=set)


class World:
    """One run: two rules, a selector and an expression, three channels, and ticks in the past."""

    def __init__(
        self, http: TestClient, database_url: str, receivers: Receivers, number: int
    ) -> None:
        self.http = http
        self.url = database_url
        self.receivers = receivers
        # Series of its own for each run, so that no samples are in the way.
        self.metric = f"model_{number}"
        self.now = time.time() // TICK * TICK - 6 * 3600
        self.high: set[str] = set()
        self.addresses = {"p": "x", "q": "y", "r": "x"}
        self.silenced: dict[str, str] = {}
        self.late: list[dict[str, Any]] = []
        self.names = 0
        self.loses = ""
        receivers.works.clear()
        receivers.believed.clear()
        with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute(
                "delete from alert_silences; delete from alert_outbox; delete from alert_notified;"
                " delete from alert_events; delete from alert_state; delete from alert_rules;"
                " delete from alert_channels; delete from alert_ticks"
            )
        process_state.reset()
        self.channels = {
            name: self.send(
                "post",
                "/channels",
                json={"name": name, "receiver": receivers.address(address)},
            )["id"]
            for name, address in self.addresses.items()
        }
        self.rules = [self.rule("p", "q"), self.rule("q", "r")]

    def send(self, method: str, path: str, **values: Any) -> Any:
        response = getattr(self.http, method)(f"{API}{path}", **values)
        assert response.status_code in (200, 201, 204), response.text
        return response.json()["data"] if response.content else None

    def rule(self, *channels: str) -> Rule:
        self.names += 1
        made = Rule("", self.metric, name=f"rule {self.names}", channels=set(channels))
        made.selector = self.names % 2 == 1
        if made.selector:
            made.labels = {"seen": "{{host}}"}
        made.id = self.send("post", "/rules", json=self.body(made))["id"]
        return made

    def query(self, rule: Rule) -> str:
        expression = f"sum by (host) ({rule.metric})"
        query = rule.metric if rule.selector else expression
        return query if rule.scale == 1 else f"{query} * {rule.scale}"

    def body(self, rule: Rule) -> dict[str, Any]:
        chosen = [{"type": "saved", "id": self.channels[one]} for one in sorted(rule.channels)]
        wait, interval = ("10s", "10s") if rule.selector else ("0s", "0s")
        timing = {"groupWait": wait, "groupInterval": interval, "repeatInterval": "24h"}
        return {
            "name": rule.name,
            "query": self.query(rule),
            "condition": "gt",
            "threshold": 50,
            "window": "20s",
            "severity": rule.severity,
            "labels": rule.labels,
            "enabled": rule.enabled,
            "notification": {**timing, "channels": chosen},
        }

    # What may happen.

    def host_changes(self, host: str) -> None:
        self.high ^= {host}

    def rule_is_edited(self, index: int, what: str) -> None:
        rule = self.rules[index % len(self.rules)]
        if what == "name":
            self.names += 1
            rule.name = f"rule {self.names}"
        elif what == "severity":
            rule.severity = "critical" if rule.severity == "info" else "info"
        elif what == "labels":
            known = rule.labels.pop("team", None)
            rule.labels |= {} if known else {"team": "{{host}}-team"}
        elif what == "twin":
            # As another rule, which its receivers must not take it for.
            other = self.rules[(index + 1) % len(self.rules)]
            rule.name, rule.severity, rule.labels = other.name, other.severity, {**other.labels}
        elif what == "query":
            # What fires resolves; what the new query finds fires at the next tick.
            rule.scale += 1
            rule.firing.clear()
        elif what == "enabled":
            rule.enabled = not rule.enabled
            rule.firing.clear()
        elif what == "deleted":
            self.send("delete", f"/rules/{rule.id}")
            self.rules[self.rules.index(rule)] = self.rule(*rule.channels)
            return
        else:
            rule.channels ^= {what}
        self.send("put", f"/rules/{rule.id}", json=self.body(rule))

    def channel_moves(self, channel: str, address: str) -> None:
        self.addresses[channel] = address
        body = {"receiver": self.receivers.address(address)}
        self.send("put", f"/channels/{self.channels[channel]}", json=body)

    def channel_is_renamed(self, channel: str) -> None:
        self.names += 1
        body = {"name": f"channel {self.names}"}
        self.send("put", f"/channels/{self.channels[channel]}", json=body)

    def silence(self, host: str) -> None:
        known = self.silenced.pop(host, None)
        if known is None:
            body = {
                "matchers": [{"label": "host", "value": host}],
                "startsAt": "2020-01-01T00:00:00Z",
                "endsAt": "2100-01-01T00:00:00Z",
            }
            self.silenced[host] = self.send("post", "/silences", json=body)["id"]
            return
        self.send("delete", f"/silences/{known}")
        # The clock of the API is ahead of the ticks.
        self.sql("update alert_silences set ends_at = to_timestamp(%s) where id = %s", known)

    def sql(self, text: str, *values: object) -> None:
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute(text.encode(), (self.now, *values))

    def acknowledge(self, host: str, withdrawn: bool) -> None:
        for event in self.send("get", "/events", params={"status": "firing"}):
            if event["tags"]["host"] == host:
                path = f"/events/{event['id']}/acknowledge"
                if withdrawn:
                    self.send("delete", path)
                else:
                    self.send("post", path, json={"note": "mine"})

    def dead_letters_are_sent_again(self) -> None:
        for one in self.send("get", "/deliveries", params={"status": "dead"}):
            response = self.http.post(f"{API}/deliveries/{one['id']}/resend")
            assert response.status_code in (200, 404, 409), response.text

    def receiver_changes(self, address: str, works: str) -> None:
        self.receivers.works[address] = works

    def function_fails(self, which: str) -> None:
        """From now on: claims or results are lost, or results come late; "" is neither."""
        self.loses = which

    def late_results_come(self) -> None:
        for results in self.late:
            evaluate.handler(results, None)

    def process_is_another(self) -> None:
        process_state.reset()

    def ticks_are_missed(self, count: int) -> None:
        self.now += count * TICK

    def reads_fail(self, fail: bool) -> None:
        """More series than a rule may have."""
        os.environ["PULSEBOARD_ALERT_MAX_SERIES"] = "2" if fail else "500"
        configured.cache_clear()

    # Time.

    def ticks(self, count: int, *, twice: bool = False) -> int:
        """So many ticks, with a sample of each host before each; how many claims the last made."""
        points = [
            {
                "name": self.metric,
                "tags": {"host": host},
                "value": 95 if host in self.high else 5,
                "timestamp": int((self.now + number * TICK - 1) * 1000),
            }
            for number in range(1, count + 1)
            for host in HOSTS
        ]
        assert self.http.post("/api/v1/metrics", json=points).json()["data"]["rejected"] == 0
        return [self.tick(twice=twice) for _ in range(count)][-1]

    def tick(self, *, twice: bool) -> int:
        """A tick, and what it claims is sent; how many were claimed."""
        self.now += TICK
        claims = [
            claim.model_dump(mode="json", by_alias=True)
            for _ in range(1 + twice)
            for claim in tick.run(now=self.now).claims
        ]
        if os.environ["PULSEBOARD_ALERT_MAX_SERIES"] != "2":
            for rule in self.rules:
                rule.firing = set(self.high) if rule.enabled else set()
        if not claims or self.loses == "claims":
            return len(claims)
        results = notify.handler({"claims": claims}, None)
        self.late.append(results)
        if self.loses != "results":
            evaluate.handler(results, None)
        return len(claims)

    def truth(self) -> dict[str, Counter[Alert]]:
        """What each receiver must believe."""
        found: dict[str, Counter[Alert]] = {address: Counter() for address in ADDRESSES}
        for rule in self.rules:
            for address in {self.addresses[one] for one in rule.channels}:
                for host in rule.firing:
                    labels = {
                        key: text.replace("{{host}}", host) for key, text in rule.labels.items()
                    }
                    own = {"alertname": rule.name, "severity": rule.severity, "host": host}
                    found[address][frozenset((own | labels).items())] += 1
        return found

    def believed(self) -> dict[str, Counter[Alert]]:
        return {one: Counter(self.receivers.believed.get(one, {}).values()) for one in ADDRESSES}

    def settled(self) -> bool:
        """Whether everyone believes the truth, and the log agrees and waits for nothing."""
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            rows = connection.execute(
                "select count(*)::int, coalesce(bool_and((value -> 'sure')::boolean and claim_id"
                " is null and attempts = 0 and not incomplete), true)"
                " from alert_notified, jsonb_each(alerts)"
            ).fetchall()
        truth = self.truth()
        logged = sum(found.total() for found in truth.values())
        return self.believed() == truth and rows == [(logged, True)]

    def settle(self) -> None:
        """Whatever has failed works again; then every receiver believes the truth."""
        for host in tuple(self.silenced):
            self.silence(host)
        for host in HOSTS:
            self.acknowledge(host, withdrawn=True)
        self.reads_fail(fail=False)
        self.loses = ""
        self.receivers.works.clear()
        # Two ticks, the intervals that rules ask for, and the wait of what had failed.
        for _ in range(int((2 * TICK + INTERVALS + LEASE + LONGEST) / TICK / 2)):
            if self.ticks(2) == 0 and self.settled():
                return
        assert self.believed() == self.truth()
        assert self.ticks(1) == 0, "nothing is new"

    def play(self, steps: list[Step]) -> None:
        for changes, count, twice in steps:
            for name, values in changes:
                getattr(self, name)(*values)
            self.ticks(count, twice=twice)
        self.settle()
        self.high.clear()
        self.settle()
        waiting = self.send("get", "/deliveries", params={"status": "waiting"})
        assert waiting == [], "what is over waits for nobody"


EDITS = ("name", "severity", "labels", "twin", "query", "enabled", "deleted", "p", "q", "r")
CHANGES: list[Change] = [
    *(("host_changes", (host,)) for host in HOSTS for _ in range(6)),
    *(("rule_is_edited", one) for one in product((0, 1), EDITS)),
    *(("channel_moves", one) for one in product("pqr", ADDRESSES)),
    *(("channel_is_renamed", (one,)) for one in "pqr"),
    *(("silence", (host,)) for host in HOSTS for _ in range(2)),
    *(("acknowledge", one) for one in product(HOSTS, (False, False, True))),
    *(("receiver_changes", one) for one in product(ADDRESSES, (*WORKS, "ok"))),
    *(("function_fails", (which,)) for which in ("claims", "results", "", "")),
    *(("ticks_are_missed", (count,)) for count in (1, 4, 40)),
    *(("reads_fail", (fail,)) for fail in (True, False, False)),
    ("dead_letters_are_sent_again", ()),
    ("late_results_come", ()),
    ("process_is_another", ()),
]
"""What may happen, the frequent more often."""
assert {name for name, _ in CHANGES} <= set(dir(World))

STEPS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(CHANGES), max_size=5),
        st.sampled_from([1, 1, 2, 4]),
        st.sampled_from([False, False, True]),
    ),
    min_size=3,
    max_size=10,
)

RUNS: list[list[Step]] = [
    # Resolved is not acknowledged, and it fires again.
    [
        ([("host_changes", ("a",))], 3, False),
        ([("receiver_changes", (one, "fails after")) for one in ADDRESSES], 1, False),
        ([("host_changes", ("a",))], 3, False),
        ([("host_changes", ("a",))], 1, False),
    ],
    # Two channels come to one address, and one of them leaves it, while results are lost.
    [
        ([("host_changes", ("a",)), ("host_changes", ("b",))], 3, False),
        ([("channel_moves", (one, "z")) for one in "pqr"], 2, True),
        ([("function_fails", ("results",)), ("channel_moves", ("p", "x"))], 2, False),
        ([("function_fails", ("",)), ("host_changes", ("a",)), ("late_results_come", ())], 1, True),
    ],
    # Two rules become alike, and receivers fail while one of them is disabled.
    [
        ([("rule_is_edited", (1, "twin")), ("host_changes", ("a",))], 3, False),
        ([("receiver_changes", (one, "fails before")) for one in ADDRESSES], 1, False),
        ([("rule_is_edited", (0, "enabled")), ("host_changes", ("b",))], 2, True),
    ],
    # A partial recovery in a silence, a rename and a deletion while receivers refuse.
    [
        ([("host_changes", (one,)) for one in HOSTS], 3, False),
        ([("silence", ("a",)), ("host_changes", ("b",))], 2, False),
        ([("receiver_changes", (one, "refuses")) for one in ADDRESSES], 1, False),
        ([("rule_is_edited", (0, "name")), ("rule_is_edited", (1, "deleted"))], 4, False),
        ([("dead_letters_are_sent_again", ()), ("silence", ("a",))], 1, False),
    ],
]


@pytest.fixture
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "PULSEBOARD_ALERT_CLAIM_LEASE": LEASE,
        "PULSEBOARD_ALERT_LONGEST_RETRY": LONGEST,
        "PULSEBOARD_ALERT_MAX_SERIES": 500,
        "PULSEBOARD_ALERT_MAX_ATTEMPTS": 3,
        "PULSEBOARD_ALERT_ALLOW_PRIVATE": "true",
        "POWERTOOLS_METRICS_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, str(int(value) if isinstance(value, float) else value))
    configured.cache_clear()
    yield
    configured.cache_clear()


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_short_intervals")
def test_every_receiver_believes_the_truth_in_the_end(admin: TestClient, database_url: str) -> None:
    runs = 0

    def play(steps: list[Step]) -> None:
        nonlocal runs
        runs += 1
        World(admin, database_url, receivers, runs).play(steps)

    with receiving() as receivers:
        for steps in RUNS:
            play(steps)
        if EXAMPLES:
            generated = settings(
                max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None
            )
            generated(given(STEPS)(play))()
