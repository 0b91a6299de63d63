"""Structured logs with the request's id, and metrics; never with secrets in them."""

from functools import lru_cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from pulseboard.core.settings import settings


@lru_cache(maxsize=1)
def logger() -> Logger:
    """The JSON logger of this process, created on first use since it reads the settings."""
    return Logger(service="pulseboard", level=settings().log_level, stage=settings().stage)


def record(**values: float | list[float]) -> None:
    """Write Pulseboard's own metrics into the log, in CloudWatch's embedded format.

    A list holds up to 100 values of one metric, for its percentiles. It needs no way to CloudWatch,
    which a function inside the VPC does not have.
    """
    configured = settings()
    if not configured.metrics or not values:
        return
    metrics = EphemeralMetrics(namespace="Pulseboard")
    metrics.add_dimension(name="stage", value=configured.stage)
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=each)
    metrics.flush_metrics()
