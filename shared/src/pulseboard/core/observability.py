"""Structured logs with the request's id, and metrics; never with secrets in them."""

import json
import sys
import time
from functools import lru_cache

from aws_lambda_powertools import Logger

from pulseboard.core.settings import settings

NAMESPACE = "Pulseboard"
"""Of our metrics in CloudWatch."""
ALARMED = frozenset(
    {"LateJobs", "DatabaseUsedPercent", "SpillOldestSeconds", "SpillDead", "TickSeconds",
     "TickLagSeconds"}
)  # fmt: skip
"""The metrics that alarms read; a test compares them with the templates."""
_UNITS = ("Seconds", "Bytes", "Percent")


@lru_cache(maxsize=1)
def logger() -> Logger:
    """The JSON logger of this process, created on first use since it reads the settings."""
    return Logger(service="pulseboard", level=settings().log_level, stage=settings().stage)


def record(**values: float | list[float]) -> None:
    """Write Pulseboard's own metrics into the log, in CloudWatch's embedded format.

    A list holds up to 100 values of one metric, for its percentiles. It needs no way to CloudWatch,
    which a function inside the VPC does not have. The stage is the only dimension: CloudWatch
    takes each other combination for another metric, which alarms would not read.
    """
    configured = settings()
    if configured.metrics == "alarms":
        values = {name: value for name, value in values.items() if name in ALARMED}
    if configured.metrics == "none" or not values:
        return
    document = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["stage"]],
                    "Metrics": [{"Name": name, "Unit": _unit(name)} for name in values],
                }
            ],
        },
        "stage": configured.stage,
        **values,
    }
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _unit(name: str) -> str:
    """CloudWatch's unit of a metric, which its name ends with."""
    return next((unit for unit in _UNITS if name.endswith(unit)), "Count")
