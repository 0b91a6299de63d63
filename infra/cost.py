"""The monthly cost of Pulseboard by service, and what other vendors charge for the same.

    make cost HOSTS=100 INTERVAL=10 DASHBOARDS=5 SERIES=50

Prices: infra/prices.py. The cost of a request: the constants below, each with where it is from.
"""

import argparse
import math
from dataclasses import dataclass

from infra import prices as p

HTTP_MEMORY_GB = {"ingest": 1.0, "query": 1.0, "dashboards": 0.5, "alerts": 0.5, "auth": 1.0}
"""Memory of the functions whose live version SnapStart caches, as a test checks."""
ALARMS = 33
"""At most: the same test counts them in the template."""
TELEMETRY_METRICS = 36
"""Custom metrics that Pulseboard writes about itself, the instance's detailed ones included."""

# Billed time, seconds: assumed, well above what docs/bench.md measures of the work alone.
INGEST_SECONDS = 0.03
BATCH_SECONDS = 0.25
EVALUATE_SECONDS = 0.3
MAINTAIN_SECONDS = 0.5
DRAIN_SECONDS = 0.2
REFRESH_SECONDS = 10
BEAT_SECONDS = 55

INGEST_BYTES = 2_000
"""A host's samples of one interval, compressed."""
REFRESH_BYTES = 6_000
"""What a refresh of one board sends, compressed: only what changed."""
LOG_BYTES = 900
"""Lambda's own lines of one invocation and API Gateway's line, as JSON."""
REFRESH_ECPU = 80

RAW_ROW_BYTES, COLUMN_ROW_BYTES, ROLLUP_ROW_BYTES = 104, 10, 153
"""A raw sample before and after the columnstore and a row of a rollup, indexes included: measured
by `python -m bench storage` (docs/bench.md)."""


@dataclass(frozen=True, slots=True)
class Load:
    """Who sends how often, and how many dashboards are open all month."""

    hosts: int = 100
    interval: int = 10
    """Seconds between two samples of a series."""
    dashboards: int = 5
    series: int = 50
    """Series of one host; the agent alone has 30 to 40."""

    def __post_init__(self) -> None:
        for name in ("hosts", "interval", "series"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.upper()} must be 1 or more")
        if self.dashboards < 0:
            raise ValueError("DASHBOARDS must be 0 or more")

    @property
    def pushes(self) -> float:
        """Requests of agents a month."""
        return self.hosts * p.MONTH_SECONDS / self.interval

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
    def instance(self) -> str:
        """The database's. A t4g earns a fifth of its two CPUs; two took 124,000 rows/s (ADR 2)."""
        if self.rows_per_second <= 1_000:
            return "t4g.medium"
        return "m7g.large" if self.rows_per_second <= 10_000 else "m7g.xlarge"

    @property
    def disk_gb(self) -> int:
        """Below the alarm at 75 %, in steps of 50."""
        return max(50, math.ceil(self.stored_gb / 0.75 / 50) * 50)


@dataclass(frozen=True, slots=True)
class CostLine:
    """One service's part of the bill."""

    service: str
    dollars: float
    why: str


def monthly(load: Load) -> list[CostLine]:
    """The bill, one line a service. Free tiers are not included, except CloudFront's."""
    requests = load.pushes + load.refreshes
    beats = p.MONTH_SECONDS / 60
    invocations = requests + 8 * beats
    seconds = (
        load.pushes * INGEST_SECONDS * HTTP_MEMORY_GB["ingest"]
        + load.refreshes * BATCH_SECONDS * HTTP_MEMORY_GB["query"]
        + 6 * beats * EVALUATE_SECONDS
        + beats * (MAINTAIN_SECONDS + DRAIN_SECONDS) * 0.5
    )
    http = (
        min(requests, p.HTTP_API_TIER) * p.HTTP_API_MILLION[0]
        + max(0, requests - p.HTTP_API_TIER) * p.HTTP_API_MILLION[1]
    ) / 1e6
    held = sum(HTTP_MEMORY_GB.values())
    traced = min(invocations, p.MONTH_SECONDS + 0.05 * max(0, invocations - p.MONTH_SECONDS))
    edge_out = load.refreshes * REFRESH_BYTES / 1e9
    edge_in = load.pushes * INGEST_BYTES / 1e9
    logs_gb = invocations * LOG_BYTES / 1e9
    return [
        CostLine("API Gateway", http, f"{requests / 1e6:.1f} M requests"),
        CostLine(
            "Lambda",
            invocations / 1e6 * p.LAMBDA_MILLION + seconds * p.LAMBDA_GB_SECOND,
            f"{invocations / 1e6:.1f} M invocations, {seconds / 1e3:,.0f} k GB-s on arm64",
        ),
        CostLine(
            "Lambda SnapStart",
            held * p.MONTH_SECONDS * p.SNAPSTART_CACHE_GB_SECOND
            + 20_000 * held / len(HTTP_MEMORY_GB) * p.SNAPSTART_RESTORE_GB,
            f"{held:g} GB cached, one version each, 20,000 restores",
        ),
        CostLine(
            "Step Functions",
            beats / 1e6 * p.EXPRESS_MILLION
            + beats * BEAT_SECONDS * p.EXPRESS_MEMORY_GB * p.EXPRESS_GB_SECOND,
            f"{beats:,.0f} Express runs of {BEAT_SECONDS} s",
        ),
        CostLine(
            "ElastiCache",
            p.CACHE_MINIMUM_GB * p.MONTH_HOURS * p.CACHE_GB_HOUR
            + load.refreshes * REFRESH_ECPU / 1e6 * p.CACHE_MILLION_ECPU,
            f"Serverless Valkey, its minimum of {p.CACHE_MINIMUM_GB:g} GB",
        ),
        CostLine(
            "EC2",
            p.EC2_HOUR[load.instance] * p.MONTH_HOURS + p.PUBLIC_IPV4_HOUR * p.MONTH_HOURS,
            f"{load.instance} and its public address",
        ),
        CostLine(
            "EBS",
            (load.disk_gb + 12) * p.GP3_GB_MONTH + load.stored_gb * 2 * p.SNAPSHOT_GB_MONTH,
            f"{load.disk_gb} GB and 12 GB gp3, seven snapshots of {load.stored_gb:.0f} GB",
        ),
        CostLine(
            "Secrets, keys, names",
            p.ENDPOINT_HOUR * p.MONTH_HOURS
            + p.SECRET_MONTH
            + p.KMS_KEY_MONTH
            + p.HOSTED_ZONE_MONTH,
            "Secrets Manager's endpoint in the VPC, a secret, a key, a private zone",
        ),
        CostLine(
            "CloudFront",
            max(0, requests - p.CLOUDFRONT_FREE_REQUESTS) / 1e6 * p.CLOUDFRONT_MILLION
            + max(0, edge_out - p.CLOUDFRONT_FREE_GB) * p.CLOUDFRONT_OUT_GB
            + edge_in * p.CLOUDFRONT_ORIGIN_GB,
            f"requests above 10 M, {edge_in:.0f} GB to the origin",
        ),
        CostLine("CloudWatch logs", logs_gb * p.LOG_GB, f"{logs_gb:.1f} GB"),
        CostLine(
            "CloudWatch",
            ALARMS * p.ALARM_MONTH + p.BOARD_MONTH + TELEMETRY_METRICS * p.CUSTOM_METRIC[0][1],
            f"{ALARMS} alarms, a dashboard, {TELEMETRY_METRICS} metrics",
        ),
        CostLine("X-Ray", traced / 1e6 * p.XRAY_MILLION, f"{traced / 1e6:.1f} M traces, sampled"),
        CostLine("S3 and SQS", 1 * p.S3_GB_MONTH + 0.1 * p.SQS_MILLION, "the SPA, spilled batches"),
    ]


def total(load: Load) -> float:
    """Dollars a month."""
    return sum(line.dollars for line in monthly(load))


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
    return dollars + load.pushes / 1000 * p.PUT_METRIC_THOUSAND


def table(load: Load) -> str:
    """The bill as a Markdown table, with its total."""
    lines = ["| service | $ a month | for |", "| --- | ---: | --- |"]
    lines += [f"| {line.service} | {line.dollars:,.2f} | {line.why} |" for line in monthly(load)]
    lines.append(f"| **all** | **{total(load):,.2f}** | |")
    return "\n".join(lines) + "\n"


def comparison() -> str:
    """Pulseboard and others at 10, 100 and 1,000 hosts, as a Markdown table."""
    lines = [
        "| hosts | Pulseboard | Datadog | Grafana Cloud | CloudWatch |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for hosts in (10, 100, 1000):
        load = Load(hosts=hosts)
        row = (total(load), datadog(load), grafana(load), cloudwatch(load))
        lines.append(f"| {hosts:,} | " + " | ".join(f"${value:,.0f}" for value in row) + " |")
    return "\n".join(lines) + "\n"


def sources() -> str:
    """The source of each price, as a Markdown list."""
    return "".join(f"- {name}: <{url}>\n" for name, url in p.SOURCES.items())


def main() -> None:
    """Print the monthly cost."""
    parser = argparse.ArgumentParser(description="The monthly bill of Pulseboard on AWS.")
    for name, default in (("hosts", 100), ("interval", 10), ("dashboards", 5), ("series", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    try:
        load = Load(**vars(options))
    except ValueError as error:
        parser.error(str(error))
    print(
        f"{load.hosts} hosts × {load.series} series every {load.interval} s"
        f" ({load.rows_per_second:,.0f} samples/s, {load.stored_gb:,.1f} GB stored),"
        f" {load.dashboards} boards open all day; {p.REGION}, prices of {p.AS_OF}\n"
    )
    for line in monthly(load):
        print(f"  {line.service:<22} ${line.dollars:>9,.2f}   {line.why}")
    print(f"  {'all':<22} ${total(load):>9,.2f}   a month\n")
    print(
        f"For the same: Datadog ${datadog(load):,.0f}, Grafana Cloud ${grafana(load):,.0f},"
        f" CloudWatch custom metrics ${cloudwatch(load):,.0f}. Arithmetic: docs/cost.md"
    )


if __name__ == "__main__":
    main()
