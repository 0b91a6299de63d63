"""The monthly cost of Pulseboard by service, and what others charge for the same.

    make cost HOSTS=100 INTERVAL=10 DASHBOARDS=5 SERIES=50 SENDERS=2 SIZE=medium

What exists: infra/inventory.py, from the synthesised templates. Prices: infra/prices.py. The cost
of a request: the constants below, each with where it is from.
"""

import argparse
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from infra import prices as p
from infra.config import SIZES
from infra.deploy import KEPT_VERSIONS
from infra.inventory import Inventory, synthesised

# Billed time, seconds: assumed, well above what docs/bench.md measures of the work alone.
INGEST_SECONDS, SAMPLE_SECONDS = 0.025, 0.0001
"""A request of samples, and each sample in it."""
BATCH_SECONDS = 0.25
EVALUATE_SECONDS = 0.3
MAINTAIN_SECONDS = 0.5
DRAIN_SECONDS = 0.2
REFRESH_SECONDS = 10
BEAT_SECONDS = 55

SAMPLE_BYTES = 40
"""A sample with its labels, compressed, as an agent sends it."""
REFRESH_BYTES = 6_000
"""What a refresh of one board sends, compressed: only what changed."""
ACCESS_LOG_BYTES, METRIC_LOG_BYTES, PLATFORM_LOG_BYTES = 350, 450, 550
"""API Gateway's line of a request, a function's line with its own metrics, Lambda's two lines."""
FAILED_SHARE = 0.01
"""Of all requests: assumed. A log of failed ones only has these."""
REJECTED_BYTES = 200e6
"""Flow logs of refused packets a month: mostly scans of the instance's public address."""
REFRESH_ECPU = 80
AMP_READ_SAMPLES = 30_000
"""Samples that a refresh of a board reads: 50 series over 100 minutes."""
SQS_POLLS = 5 * p.MONTH_SECONDS / 20
"""Lambda polls a queue with five long requests at least."""

RAW_ROW_BYTES, COLUMN_ROW_BYTES, ROLLUP_ROW_BYTES = 104, 10, 81
"""A raw sample before and after the columnstore, and a row of a rollup, of which all but the newest
hours (minutes) or days (hours) are in the columnstore; indexes included: measured by
`python -m bench storage` (docs/bench.md)."""


@dataclass(frozen=True, slots=True)
class Load:
    """Who sends how often, and how many dashboards are open all month."""

    hosts: int = 100
    interval: int = 10
    """Seconds between two samples of a series."""
    dashboards: int = 5
    series: int = 50
    """Series of one host; the agent alone has 30 to 40."""
    senders: int | None = None
    """Senders of requests, one each interval: relays or collectors; without it each host."""

    def __post_init__(self) -> None:
        for name in ("hosts", "interval", "series"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.upper()} must be 1 or more")
        if self.dashboards < 0:
            raise ValueError("DASHBOARDS must be 0 or more")
        if self.senders is not None and not 1 <= self.senders <= self.hosts:
            raise ValueError("SENDERS must be between 1 and HOSTS")

    @property
    def samples(self) -> float:
        """Samples a month."""
        return self.rows_per_second * p.MONTH_SECONDS

    @property
    def pushes(self) -> float:
        """Requests with samples a month."""
        return (self.senders or self.hosts) * p.MONTH_SECONDS / self.interval

    @property
    def refreshes(self) -> float:
        """Requests of open dashboards a month: one for all panels."""
        return self.dashboards * p.MONTH_SECONDS / REFRESH_SECONDS

    @property
    def rows_per_second(self) -> float:
        """Samples."""
        return self.hosts * self.series / self.interval

    @property
    def stored_gb(self) -> float:
        """All three tiers, filled to their retention."""
        series = self.hosts * self.series
        raw = 86_400 / self.interval * (0.25 * RAW_ROW_BYTES + 6.75 * COLUMN_ROW_BYTES)
        rollups = (1440 * 30 + 24 * 365) * ROLLUP_ROW_BYTES
        return series * (raw + rollups) / 1e9

    @property
    def size(self) -> str:
        """Of the environment. A t4g earns a fifth of its two CPUs; two took 124,000 rows/s
        (ADR 2), and `small` has half the memory.
        """
        if self.rows_per_second <= 200:
            return "small"
        return "medium" if self.rows_per_second <= 1_000 else "large"

    @property
    def instance(self) -> str:
        """The database's: above 10,000 samples a second larger than that of any size."""
        if self.rows_per_second > 10_000:
            return "m7g.xlarge"
        return SIZES[self.size].instance

    @property
    def disk_gb(self) -> int:
        """The size's, or in steps of 50 what stays below the alarm at 75 %."""
        needed, usual = self.stored_gb / 0.75, SIZES[self.size].disk_gb
        return usual if needed <= usual else math.ceil(needed / 50) * 50


@dataclass(frozen=True, slots=True)
class CostLine:
    """One service's part of the bill."""

    service: str
    dollars: float
    why: str


def fitting(load: Load) -> Inventory:
    """Production's with the size, instance and disk that the load needs."""
    return replace(Inventory(), instance=load.instance, disk_gb=load.disk_gb)


def monthly(load: Load, has: Inventory | None = None) -> list[CostLine]:
    """The bill, one line a service. Free tiers are not included, except CloudFront's."""
    has = has or fitting(load)
    requests = load.pushes + load.refreshes
    beats = p.MONTH_SECONDS / 60
    calls = {
        "ingest": (load.pushes, INGEST_SECONDS + SAMPLE_SECONDS * load.samples / load.pushes),
        "query": (load.refreshes, BATCH_SECONDS),
        "evaluate": (6 * beats, EVALUATE_SECONDS),
        "maintain": (beats, MAINTAIN_SECONDS),
        "drain": (beats, DRAIN_SECONDS),
    }
    invocations = sum(count for count, _ in calls.values())
    seconds = sum(n * each * has.memory_gb[name] for name, (n, each) in calls.items())
    http = (
        min(requests, p.HTTP_API_TIER) * p.HTTP_API_MILLION[0]
        + max(0, requests - p.HTTP_API_TIER) * p.HTTP_API_MILLION[1]
    ) / 1e6
    held = sum(has.memory_gb[name] for name in has.snap_start) * KEPT_VERSIONS
    restores = 4_000 * len(has.snap_start)
    traced = sum(count for name, (count, _) in calls.items() if name in has.traced)
    traced = min(traced, p.MONTH_SECONDS + 0.05 * max(0, traced - p.MONTH_SECONDS))
    edge_out = load.refreshes * REFRESH_BYTES / 1e9
    # Agents send to API Gateway's own address, unless a web ACL closes it.
    edge = load.refreshes + (load.pushes if has.acl else 0)
    edge_in = load.samples * SAMPLE_BYTES / 1e9 if has.acl else 0
    written = {"evaluate", "maintain", "drain"} | ({"ingest", "query"} if has.boards else set())
    logs_gb = (
        # API Gateway's line and the function's own, or the function's of what failed.
        requests * ACCESS_LOG_BYTES * (2 if has.logs_all else FAILED_SHARE)
        + sum(count for name, (count, _) in calls.items() if name in written) * METRIC_LOG_BYTES
        + sum(count for name, (count, _) in calls.items() if name in has.verbose)
        * PLATFORM_LOG_BYTES
        + REJECTED_BYTES
    ) / 1e9
    lines = [
        CostLine("API Gateway", http, f"{requests / 1e6:.1f} M requests"),
        CostLine(
            "Lambda",
            invocations / 1e6 * p.LAMBDA_MILLION + seconds * p.LAMBDA_GB_SECOND,
            f"{invocations / 1e6:.1f} M invocations, {seconds / 1e3:,.0f} k GB-s on arm64",
        ),
        CostLine(
            "Step Functions",
            beats / 1e6 * p.EXPRESS_MILLION
            + beats * BEAT_SECONDS * p.EXPRESS_MEMORY_GB * p.EXPRESS_GB_SECOND,
            f"{beats:,.0f} Express runs of {BEAT_SECONDS} s",
        ),
        CostLine(
            "ElastiCache",
            has.caches
            * (
                p.CACHE_MINIMUM_GB * p.MONTH_HOURS * p.CACHE_GB_HOUR
                + load.refreshes * REFRESH_ECPU / 1e6 * p.CACHE_MILLION_ECPU
            ),
            f"Serverless Valkey, its minimum of {p.CACHE_MINIMUM_GB:g} GB",
        ),
        CostLine(
            "EC2",
            (p.EC2_HOUR[has.instance] + p.PUBLIC_IPV4_HOUR) * p.MONTH_HOURS if has.instance else 0,
            f"{has.instance} and its public address" if has.instance else "external database",
        ),
        CostLine(
            "EBS",
            (has.disk_gb + has.root_gb) * p.GP3_GB_MONTH + load.stored_gb * 2 * p.SNAPSHOT_GB_MONTH
            if has.instance
            else 0,
            f"{has.disk_gb} GB and {has.root_gb} GB gp3, seven snapshots of"
            f" {load.stored_gb:.0f} GB",
        ),
        CostLine(
            "Secrets, keys, names",
            has.endpoints * p.ENDPOINT_HOUR * p.MONTH_HOURS
            + has.secrets * p.SECRET_MONTH
            + has.keys * p.KMS_KEY_MONTH
            + has.zones * p.HOSTED_ZONE_MONTH,
            "a secret, a key, a private zone"
            + (", Secrets Manager's endpoint in the VPC" if has.endpoints else ""),
        ),
        CostLine(
            "CloudFront",
            max(0, edge - p.CLOUDFRONT_FREE_REQUESTS) / 1e6 * p.CLOUDFRONT_MILLION
            + max(0, edge - p.CLOUDFRONT_FREE_FUNCTIONS) / 1e6 * p.CLOUDFRONT_FUNCTION_MILLION
            + max(0, edge_out - p.CLOUDFRONT_FREE_GB) * p.CLOUDFRONT_OUT_GB
            + edge_in * p.CLOUDFRONT_ORIGIN_GB,
            f"{edge / 1e6:.1f} M requests of browsers; 10 M and 1 TB are free",
        ),
        CostLine(
            "CloudWatch logs",
            logs_gb * p.LOG_GB,
            f"{logs_gb:.1f} GB: failed requests, own metrics, refused packets",
        ),
        CostLine(
            "CloudWatch",
            has.alarms * p.ALARM_MONTH
            + has.boards * p.BOARD_MONTH
            + has.metrics * p.CUSTOM_METRIC[0][1],
            f"{has.alarms} alarms, {has.metrics} metrics" + (", a dashboard" if has.boards else ""),
        ),
        CostLine(
            "S3 and SQS",
            1 * p.S3_GB_MONTH + (SQS_POLLS + 0.1e6) / 1e6 * p.SQS_MILLION,
            "the SPA, spilled batches, polling their queue",
        ),
    ]
    if has.snap_start:
        price = held * p.MONTH_SECONDS * p.SNAPSTART_CACHE_GB_SECOND
        price += restores * p.SNAPSTART_RESTORE_GB * held / (KEPT_VERSIONS * len(has.snap_start))
        text = f"{held:g} GB cached in {KEPT_VERSIONS} versions, {restores:,} restores"
        lines.append(CostLine("Lambda SnapStart", price, text))
    if has.traced:
        lines.append(CostLine("X-Ray", traced / 1e6 * p.XRAY_MILLION, f"{traced / 1e6:.1f} M"))
    if has.nats:
        price = has.nats * (p.NAT_HOUR + p.PUBLIC_IPV4_HOUR) * p.MONTH_HOURS
        lines.append(CostLine("NAT gateway", price, "its hours and address, without its bytes"))
    return lines


def total(load: Load, has: Inventory | None = None) -> float:
    """Dollars a month."""
    return sum(line.dollars for line in monthly(load, has))


def datadog(load: Load) -> float:
    """Infrastructure Pro, billed annually; series above the included ones as custom metrics."""
    extra = max(0, load.series - p.DATADOG_INCLUDED_PER_HOST) * load.hosts
    return load.hosts * p.DATADOG_HOST + extra / 100 * p.DATADOG_HUNDRED_METRICS


def grafana(load: Load) -> float:
    """Pro: billed by series or by samples a minute, whichever is more; one a minute is included."""
    billed = load.hosts * load.series * max(1.0, 60 / load.interval)
    return p.GRAFANA_MONTH + max(0, billed - p.GRAFANA_INCLUDED) / 1000 * p.GRAFANA_THOUSAND_SERIES


def cloudwatch(load: Load) -> float:
    """Custom metrics, one PutMetricData a host and interval."""
    left, dollars = float(load.hosts * load.series), 0.0
    for size, price in p.CUSTOM_METRIC:
        dollars += min(left, size) * price
        left = max(0.0, left - size)
    requests = load.hosts * p.MONTH_SECONDS / load.interval
    return dollars + requests / 1000 * p.PUT_METRIC_THOUSAND


def managed_prometheus(load: Load) -> float:
    """Amazon's: samples in, their bytes for 150 days, the samples that queries read."""
    left, dollars = load.samples, 0.0
    for size, price in p.AMP_SAMPLES:
        dollars += min(left, size) / 10e6 * price
        left = max(0.0, left - size)
    stored = load.samples * 5 * p.AMP_SAMPLE_BYTES / 1e9
    read = load.refreshes * AMP_READ_SAMPLES / 1e9
    return dollars + stored * p.AMP_GB_MONTH + read * p.AMP_BILLION_READ


def own_prometheus(load: Load) -> float:
    """Prometheus and Grafana on one instance, its samples for 400 days; nobody's hours."""
    small = load.hosts * load.series <= 20_000
    hour = p.EC2_HOUR["t4g.small" if small else "t4g.medium"] + p.PUBLIC_IPV4_HOUR
    stored = load.samples * 400 / 30.4 * p.PROMETHEUS_SAMPLE_BYTES / 1e9
    return (
        hour * p.MONTH_HOURS
        + (12 + max(20, stored / 0.75)) * p.GP3_GB_MONTH
        + (stored * 2 * p.SNAPSHOT_GB_MONTH)
    )


def table(load: Load) -> str:
    """The bill as a Markdown table, with its total."""
    lines = ["| service | $ a month | for |", "| --- | ---: | --- |"]
    lines += [f"| {line.service} | {line.dollars:,.2f} | {line.why} |" for line in monthly(load)]
    lines.append(f"| **all** | **{total(load):,.2f}** | |")
    return "\n".join(lines) + "\n"


def relayed(hosts: int) -> Load:
    """Hosts that send through relays: one a hundred of them, two at least."""
    return Load(hosts=hosts, senders=max(2, hosts // 100))


OTHERS = {
    "Amazon Managed Prometheus": managed_prometheus,
    "Grafana Cloud": grafana,
    "Datadog": datadog,
    "CloudWatch": cloudwatch,
    "own Prometheus + Grafana": own_prometheus,
}
BEFORE = {10: 114, 100: 195, 1000: 1099}
"""What this page said of each number of hosts before 2026-11."""


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def comparison() -> str:
    """Pulseboard, each host alone and through relays, and others, as a Markdown table."""
    rows = []
    for hosts in BEFORE:
        load = Load(hosts=hosts)
        values = [total(load), total(relayed(hosts)), *(price(load) for price in OTHERS.values())]
        rows.append([f"{hosts:,}", *(f"${value:,.0f}" for value in values)])
    return _rows(["hosts", "Pulseboard", "through relays", *OTHERS], rows)


def progress() -> str:
    """The bill before and after, as a Markdown table."""
    rows = [
        [f"{hosts:,}", f"${before:,}", Load(hosts=hosts).size,
         f"${total(Load(hosts=hosts)):,.0f}", f"${total(relayed(hosts)):,.0f}"]
        for hosts, before in BEFORE.items()
    ]  # fmt: skip
    return _rows(["hosts", "before", "size", "each alone", "through relays"], rows)


def sources() -> str:
    """The source of each price, as a Markdown list."""
    return "".join(f"- {name}: <{url}>\n" for name, url in p.SOURCES.items())


def main() -> None:
    """Synthesise, and print the monthly cost."""
    parser = argparse.ArgumentParser(description="The monthly bill of Pulseboard on AWS.")
    for name, default in (("hosts", 100), ("interval", 10), ("dashboards", 5), ("series", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--senders", type=int, help="relays or collectors; else every host")
    parser.add_argument("--size", choices=sorted(SIZES), help="else the one that the load needs")
    options = vars(parser.parse_args())
    size = options.pop("size")
    try:
        load = Load(**options)
    except ValueError as error:
        parser.error(str(error))
    size = size or load.size
    context = {"size": size, "databaseDiskGb": str(max(load.disk_gb, SIZES[size].disk_gb))}
    if load.instance not in {each.instance for each in SIZES.values()}:
        context["databaseInstance"] = load.instance
    with tempfile.TemporaryDirectory() as directory:
        has = synthesised(context, Path(directory))
    print(
        f"{load.hosts} hosts × {load.series} series every {load.interval} s"
        f" ({load.rows_per_second:,.0f} samples/s, {load.stored_gb:,.1f} GB stored),"
        f" {load.senders or load.hosts} senders, {load.dashboards} boards open all day;"
        f" size {size}, {p.REGION}, prices of {p.AS_OF}\n"
    )
    for line in monthly(load, has):
        print(f"  {line.service:<22} ${line.dollars:>9,.2f}   {line.why}")
    print(f"  {'all':<22} ${total(load, has):>9,.2f}   a month\n")
    others = ", ".join(f"{name} ${price(load):,.0f}" for name, price in OTHERS.items())
    print(f"For the same: {others}. Arithmetic: docs/cost.md")


if __name__ == "__main__":
    main()
