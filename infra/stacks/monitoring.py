"""Pulseboard's own health: one CloudWatch dashboard, and the alarms that belong to no function."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from infra.config import Config
from infra.stacks.alerting import AlertingStack
from infra.stacks.api import ApiStack
from infra.stacks.data import DataStack

NAMESPACE = "Pulseboard"
"""Of the metrics that the functions write into their logs."""
DISK_PERCENT = 75
SPILL_AGE = 900
"""Seconds that accepted samples may wait for the database before the alarm notifies."""
_MINUTE = cdk.Duration.minutes(1)
_FIVE_MINUTES = cdk.Duration.minutes(5)


class MonitoringStack(cdk.Stack):
    """Each alarm's description points to its section of docs/runbooks.md."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        data: DataStack,
        api: ApiStack,
        alerting: AlertingStack | None,
    ) -> None:
        super().__init__(scope, name)
        self.config = config
        self.data = data
        late = self._own("LateJobs", "Maximum")
        disk = self._own("DatabaseUsedPercent", "Maximum")
        waiting = self._own("SpillOldestSeconds", "Maximum")
        dead = self._own("SpillDead", "Maximum")
        errors = self._api(api, "5xx" if config.api == "http" else "5XXError", "Sum")
        requests = self._api(api, "Count", "Sum")
        latency = self._api(api, "Latency", "p95")
        self._alarm("policy-late", late, 1, periods=3)
        self._alarm("database-disk", disk, DISK_PERCENT, periods=3)
        # Maintain has not reported: it does not run, or the database is unavailable.
        self._alarm("maintain-silent", self._own("LateJobs", "SampleCount"), 1, periods=5,
                    below=True)  # fmt: skip
        self._alarm("api-errors", errors, 5, periods=3)
        self._alarm("spill-age", waiting, SPILL_AGE, periods=3)
        self._alarm("spill-dead", dead, 1, periods=1)
        letters = data.spill.dead_letters.metric_approximate_number_of_messages_visible(
            period=_MINUTE, statistic="Maximum"
        )
        self._alarm("drain-dead-letters", letters, 1, periods=1)
        if alerting:
            lag = cloudwatch.Metric(
                namespace=NAMESPACE,
                metric_name="TickLagSeconds",
                dimensions_map={"service": "evaluate"},
                statistic="Maximum",
                period=_MINUTE,
            )
            self._alarm("tick-late", lag, 20, periods=3)
            beats = alerting.machine.metric_succeeded(period=_MINUTE, statistic="Sum")
            self._alarm("tick-missing", beats, 1, periods=3, below=True)
        board = cloudwatch.Dashboard(self, "Board", dashboard_name=f"pulseboard-{config.stage}")
        functions = [data.migrate, data.maintain, data.spill.drain, *api.functions.values()]
        if alerting:
            functions += [alerting.evaluate, alerting.notify]
        board.add_widgets(
            _graph("Requests", requests, errors),
            _graph("Latency, 95th percentile", latency),
            _graph("Database disk, percent used", disk),
            _graph("Late jobs of the database", late),
            _graph("Spilled batches", self._own("SpillFiles", "Maximum"), dead),
            _graph("Age of the oldest spilled batch", waiting),
            _graph("Samples drained", self._own("DrainedSamples", "Sum")),
        )
        board.add_widgets(
            _graph(
                "Samples a minute",
                self._own("SamplesAccepted", "Sum"),
                self._own("SamplesRefused", "Sum"),
            ),
            _graph("Ingest lag, seconds", self._own("IngestLagSeconds", "Maximum")),
            _graph(
                "Time of queries, seconds",
                self._own("QuerySeconds", "p50"),
                self._own("QuerySeconds", "p95"),
            ),
            _graph(
                "Served from the cache, percent; breaker opened",
                self._own("CacheHitPercent", "Average"),
                self._own("BreakerOpened", "Sum"),
            ),
        )
        for title, metric in {
            "Errors": "metric_errors",
            "Throttles": "metric_throttles",
            "Duration": "metric_duration",
            "Invocations": "metric_invocations",
        }.items():
            board.add_widgets(
                _graph(
                    title,
                    *(getattr(f.lambda_function, metric)(period=_FIVE_MINUTES) for f in functions),
                )
            )

    def _own(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"stage": self.config.stage},
            statistic=statistic,
            period=_MINUTE,
        )

    def _api(self, api: ApiStack, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            dimensions_map=api.metrics_dimensions,
            statistic=statistic,
            period=_MINUTE,
        )

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.Metric,
        threshold: float,
        *,
        periods: int,
        below: bool = False,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            "".join(part.capitalize() for part in name.split("-")),
            alarm_name=f"pulseboard-{self.config.stage}-{name}",
            alarm_description=f"docs/runbooks.md#{name}",
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
            if below
            else cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING
            if below
            else cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.data.alarms))
        alarm.add_ok_action(actions.SnsAction(self.data.alarms))


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=6, height=6)
