"""Pulseboard's own health: the alarms that belong to no function, and a dashboard by choice."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.config import Config
from infra.stacks.alerting import AlertingStack
from infra.stacks.api import ApiStack
from infra.stacks.data import DataStack
from infra.stacks.frontend import FrontendStack
from infra.stacks.maintenance import MaintenanceStack

NAMESPACE = "Pulseboard"
"""Of the metrics that the functions write into their logs."""
DISK_PERCENT = 75
CREDITS = 20
"""CPU credits of a t4g below which it is about to be slowed to a fifth of its CPUs."""
CACHE_BYTES = 4 * 10**9
"""Of the 5 GB that the cache may hold: what it holds is gone within an hour."""
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
        maintenance: MaintenanceStack,
        frontend: FrontendStack,
        alerting: AlertingStack | None,
    ) -> None:
        super().__init__(scope, name)
        self.config = config
        self.data = data
        late = self._own("LateJobs", "Maximum")
        disk = self._own("DatabaseUsedPercent", "Maximum")
        waiting = self._own("SpillOldestSeconds", "Maximum")
        dead = self._own("SpillDead", "Maximum")
        errors, _, _ = self._requests(api)
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
            self._alarm("tick-late", self._own("TickLagSeconds", "Maximum"), 20, periods=3)
            # Written by a tick that ended: neither without a start nor without a database.
            ticks = self._own("TickSeconds", "SampleCount")
            self._alarm("tick-missing", ticks, 1, periods=3, below=True)
        self._watch_parts(frontend)
        if config.board:
            self._board(api, maintenance, alerting)

    def _requests(
        self, api: ApiStack
    ) -> tuple[cloudwatch.Metric, cloudwatch.Metric, cloudwatch.Metric]:
        return (
            self._api(api, "5xx" if self.config.api == "http" else "5XXError", "Sum"),
            self._api(api, "Count", "Sum"),
            self._api(api, "Latency", "p95"),
        )

    def _board(
        self, api: ApiStack, maintenance: MaintenanceStack, alerting: AlertingStack | None
    ) -> None:
        """What Pulseboard's own dashboard shows too, while its database responds."""
        errors, requests, latency = self._requests(api)
        name = f"pulseboard-{self.config.stage}"
        board = cloudwatch.Dashboard(self, "Board", dashboard_name=name)
        functions = [
            self.data.migrate,
            maintenance.maintain,
            maintenance.drain,
            *api.functions.values(),
        ]
        if alerting:
            functions += [alerting.evaluate, alerting.notify]
        board.add_widgets(
            _graph("Requests", requests, errors),
            _graph("Latency, 95th percentile", latency),
            _graph("Database disk, percent used", self._own("DatabaseUsedPercent", "Maximum")),
            _graph("Late jobs of the database", self._own("LateJobs", "Maximum")),
            _graph("Spilled batches", self._own("SpillFiles", "Maximum"),
                   self._own("SpillDead", "Maximum")),
            _graph("Age of the oldest spilled batch", self._own("SpillOldestSeconds", "Maximum")),
            _graph("Samples drained", self._own("DrainedSamples", "Sum")),
            _graph("Ticks: seconds, seconds late", self._own("TickSeconds", "Maximum"),
                   self._own("TickLagSeconds", "Maximum")),
        )  # fmt: skip
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

    def _watch_parts(self, frontend: FrontendStack) -> None:
        """Alarms of what AWS runs for us, by AWS's own metrics and events."""
        instance, cache, cdn = self.data.instance, self.data.cache, frontend.distribution
        if instance:
            group = {"AutoScalingGroupName": instance.group.auto_scaling_group_name}
            failed = self._aws("EC2", "StatusCheckFailed", "Maximum", group)
            self._alarm("database-instance", failed, 1, periods=5)
            if instance.burstable:
                credit = self._aws("EC2", "CPUCreditBalance", "Minimum", group)
                self._alarm("database-credits", credit, CREDITS, periods=3, below=True,
                            silent=False)  # fmt: skip
            self._notify_of_snapshots()
        if cache:
            name = {"clusterId": cache.serverless_cache_name}
            used = self._aws("ElastiCache", "BytesUsedForCache", "Maximum", name)
            throttled = self._aws("ElastiCache", "ThrottledCmds", "Sum", name)
            self._alarm("cache-full", used, CACHE_BYTES, periods=3)
            self._alarm("cache-throttled", throttled, 1, periods=3)
        if cdn:
            # CloudFront writes its metrics in one region, and an alarm reads those of its own.
            here = cdk.CfnCondition(
                self, "CdnMetrics", expression=cdk.Fn.condition_equals(self.region, "us-east-1")
            )
            where = {"DistributionId": cdn.distribution_id, "Region": "Global"}
            percent = self._aws("CloudFront", "5xxErrorRate", "Average", where)
            alarm = self._alarm("cdn-errors", percent, 5, periods=3)
            resource = alarm.node.default_child
            assert isinstance(resource, cdk.CfnResource)
            resource.cfn_options.condition = here

    def _notify_of_snapshots(self) -> None:
        """Events, since a snapshot that was never begun writes no metric."""
        for name, source, kind, detail in (
            ("SnapshotFailed", "aws.ec2", "EBS Snapshot Notification",
             {"event": ["createSnapshot"], "result": ["failed"]}),
            ("SnapshotPolicyFailed", "aws.dlm", "DLM Policy State Change", {"state": ["ERROR"]}),
        ):  # fmt: skip
            events.Rule(
                self,
                name,
                description="docs/runbooks.md#snapshot-failed",
                event_pattern=events.EventPattern(
                    source=[source], detail_type=[kind], detail=detail
                ),
                targets=[targets.SnsTopic(self.data.alarms)],
            )

    def _aws(
        self, service: str, name: str, statistic: str, dimensions: dict[str, str]
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=f"AWS/{service}",
            metric_name=name,
            dimensions_map=dimensions,
            statistic=statistic,
            period=_FIVE_MINUTES if service == "EC2" else _MINUTE,
        )

    def _own(self, name: str, statistic: str) -> cloudwatch.Metric:
        """A metric of our functions: `record` writes it with the stage and nothing else."""
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
        silent: bool = True,
    ) -> cloudwatch.Alarm:
        """`below`: without values it is an alarm too, unless `silent` is false."""
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
            if below and silent
            else cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.data.alarms))
        alarm.add_ok_action(actions.SnsAction(self.data.alarms))
        return alarm


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=6, height=6)
