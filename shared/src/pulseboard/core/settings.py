"""Every setting, its default and what it means. Read by `settings()`, never at import.

The environment variable of a field is its name in capitals after ``PULSEBOARD_``;
`DATABASE_URL`, `REDIS_URL` and `PORT` stand without the prefix, as is the custom.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from pulseboard.core.process_state import on_reset


class Settings(BaseSettings):
    """Limits and addresses. Times are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="PULSEBOARD_", extra="ignore", frozen=True)

    # Addresses
    database_url: SecretStr = Field(
        default=SecretStr("postgresql://postgres@127.0.0.1:54329/postgres"),
        validation_alias=AliasChoices("DATABASE_URL", "PULSEBOARD_DATABASE_URL", "database_url"),
        description="TimescaleDB, as a libpq URL.",
    )
    database_credentials: str | None = Field(
        default=None,
        description="`s3://bucket/key` of JSON with `password`, put into `DATABASE_URL`, and `ca`, "
        "the certificates by which the database's own is verified.",
    )
    database_secret: str | None = Field(
        default=None,
        description="Secrets Manager's name of the database password (JSON with `password`, put "
        "into `DATABASE_URL`) or of the whole URL.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:36379/0"),
        validation_alias=AliasChoices("REDIS_URL", "PULSEBOARD_REDIS_URL", "redis_url"),
        description="Redis or Valkey. `rediss://` for TLS.",
    )
    redis_cluster: bool = Field(
        default=True, description="Speak the cluster protocol, as ElastiCache Serverless does."
    )
    public_url: str | None = Field(
        default=None,
        description="Where browsers reach Pulseboard. Origins other than this are refused; "
        "left out, the request's own host is used.",
    )
    agent_url: str | None = Field(
        default=None,
        description="Where agents send, when that is not where browsers are: API Gateway's own "
        "address on AWS. The commands under Add data have it.",
    )
    static_dir: Path | None = Field(
        default=None, description="The built SPA, served by the development server."
    )

    # Connections
    database_pool_size: int = Field(
        default=4, ge=1, le=100, description="Connections one process may open."
    )
    database_connect_timeout: float = Field(default=3.0, gt=0, description="Wait for a connection.")
    database_deadline: float = Field(
        default=12.0,
        gt=0,
        description="Time the database has for one statement before the connection is cut, where "
        "the work has no limit of its own. Above `query_timeout`, which the server enforces.",
    )
    redis_timeout: float = Field(default=0.5, gt=0, description="Wait for a response of the cache.")
    breaker_failures: int = Field(
        default=5, ge=1, description="Database failures in a row that open the circuit breaker."
    )
    breaker_reset: int = Field(
        default=10, ge=1, description="How long the breaker stays open before one trial call."
    )

    # Ingest
    ingest_max_body_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="Body as received."
    )
    ingest_max_inflated_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1024, description="Body after inflation."
    )
    ingest_max_points: int = Field(default=10_000, ge=1, description="Points in one request.")
    ingest_max_parts: int = Field(
        default=1_500_000,
        ge=1_000,
        description="Parts that are read of one request: fields, lines and values, also those that "
        "are not known. Bounds the work of a body that inflates well; all points with all their "
        "tags fit.",
    )
    ingest_histogram_scale: int = Field(
        default=2,
        ge=-4,
        le=8,
        description="Buckets for each power of two, as a power of two, at most: exponential and "
        "native histograms and sketches are merged to that. A quantile is off by 19 % at most with "
        "2, by 9 % with 3, for twice the series.",
    )
    ingest_histogram_buckets: int = Field(
        default=160,
        ge=4,
        description="Buckets of one exponential or native histogram; of more, neighbours are "
        "merged.",
    )
    ingest_max_at_once: int = Field(
        default=4,
        ge=1,
        description="Requests with samples or events that one process decodes and stores at once. "
        "Others wait, without a thread, so that dashboards are served meanwhile.",
    )
    ingest_max_wait: float = Field(
        default=5, ge=0, description="How long such a request waits for its turn before 503."
    )
    ingest_max_waiting_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=0,
        description="Bodies that wait for their turn, together; beyond it 503 at once.",
    )
    ingest_max_waiting_bytes_of_key: int = Field(
        default=16 * 1024 * 1024,
        ge=0,
        description="The same of one API key: senders have their turns one after the other, and "
        "one can't fill the room for all.",
    )
    ingest_max_tags: int = Field(default=30, ge=0, le=64, description="Tags on one point.")
    ingest_max_errors: int = Field(default=100, ge=1, description="Rejected points in a response.")
    ingest_max_age: int = Field(
        default=6 * 86_400,
        ge=60,
        description="Oldest sample accepted. Must stay inside the rollups' lookback.",
    )
    ingest_max_ahead: int = Field(
        default=600, ge=0, description="How far ahead of the clock a sample may be."
    )
    otlp_resource_attributes: str = Field(
        default="service.name,service.namespace,service.instance.id,host.name,host.id,"
        "container.id,container.name,process.pid,k8s.*.name,k8s.pod.uid,aws.ecs.task.arn,"
        "faas.name,faas.instance,deployment.environment,deployment.environment.name,cloud.region",
        description="Attributes of an OpenTelemetry resource that become tags, between commas; "
        "`*` stands for any text. The first ones stay where `ingest_max_tags` has no room for all; "
        "`target_info` has all of them. A point's own attributes all are tags.",
    )
    otlp_info_tags: int = Field(
        default=64,
        ge=0,
        le=64,
        description="Tags of the metric `target_info`, which holds all attributes of an "
        "OpenTelemetry resource; 0 stores none.",
    )
    otlp_resource_lease: int = Field(
        default=900,
        ge=60,
        description="Of OpenTelemetry resources with the same tags one has them plain. How long "
        "after its last metrics another one may have them, in seconds.",
    )
    otlp_scope: bool = Field(
        default=False,
        description="Make tags of every OpenTelemetry scope, `otel.scope.name` and "
        "`otel.scope.version`, and not only of those that send the same metric for a resource.",
    )
    series_map_size: int = Field(
        default=200_000, ge=100, description="Series ids that one process caches."
    )
    series_recognised_bytes: int = Field(
        default=48 * 1024 * 1024,
        ge=0,
        description="Memory of one process for series known by their bytes, for each protocol "
        "that sends them again and again.",
    )
    series_max_per_metric: int = Field(
        default=100_000, ge=1, description="Active series that one metric may have."
    )
    series_max_per_key: int = Field(
        default=1_000_000,
        ge=1,
        description="Active series that one API key may have sent last.",
    )
    series_active: int = Field(
        default=86_400,
        ge=600,
        description="How long after its last sample a series is active: it counts in the two "
        "limits above and on the usage page.",
    )
    series_max_new_per_minute: int = Field(
        default=50_000, ge=1, description="Series that one API key may add in a minute."
    )
    series_max_deleted: int = Field(
        default=200_000, ge=1, description="Series that one request may delete."
    )
    usage_million_samples: float = Field(
        default=0.0327,
        ge=0,
        description="Dollars that a million samples cost, in requests and functions, for the "
        "estimate on the usage page; 50 samples in a request are assumed (`make cost`).",
    )
    usage_thousand_series: float = Field(
        default=0.87,
        ge=0,
        description="Dollars a month that the stored history of a thousand series costs, for the "
        "same estimate.",
    )

    # While the database is away
    spill_dir: Path | None = Field(
        default=None,
        description="Directory for accepted samples that the database can't store for now.",
    )
    spill_bucket: str | None = Field(
        default=None, description="The same as an S3 bucket; it goes before the directory."
    )
    spill_wait: float = Field(
        default=1.0, gt=0, description="Wait of ingest for a connection before it spills."
    )
    spill_pause: float = Field(
        default=2.0,
        gt=0,
        description="After a failure, time between two attempts of ingest to reach the database.",
    )
    spill_write_timeout: float = Field(
        default=8.0, gt=0, description="Time the database has for a batch before it is spilled."
    )
    spill_max_bytes: int = Field(
        default=2**30, ge=1024, description="Spilled bytes; beyond, samples are refused with 503."
    )
    spill_max_files: int = Field(
        default=100_000, ge=1, description="Spilled batches; beyond, samples are refused with 503."
    )
    spill_max_age: int = Field(
        default=43_200,
        ge=60,
        description="Age of the oldest spilled batch at which samples are refused with 503. With "
        "`ingest_max_age` it must stay inside the rollups' lookback of 6 days 12 hours.",
    )
    drain_max_samples: int = Field(
        default=50_000, ge=1, description="Samples drained in one transaction."
    )
    drain_max_files: int = Field(
        default=200, ge=1, description="Spilled batches drained in one transaction."
    )
    key_remembered: int = Field(
        default=3600,
        ge=0,
        description="While the database is away, a key that was valid within this time may push.",
    )

    # Queries
    query_max_range: int = Field(default=400 * 86_400, ge=60, description="Longest range.")
    query_max_series: int = Field(default=1_000, ge=1, description="Series in one result.")
    query_max_matched: int = Field(
        default=200_000,
        ge=1000,
        description="Series that a selector with `=~`, `!~` or `!=` may look at.",
    )
    label_cache_from: int = Field(
        default=10_000,
        ge=1,
        description="A list of labels is cached for a minute when it is made from so many labels "
        "of series, or more.",
    )
    query_max_points: int = Field(
        default=500_000, ge=100, description="Values in one result: series times buckets."
    )
    query_max_response_bytes: int = Field(
        default=4_000_000,
        ge=10_000,
        description="Response as sent; a Lambda can return 6 MB, base64 included.",
    )
    query_max_samples: int = Field(
        default=5_000_000,
        ge=1000,
        description="Samples, and values in between, that one expression may hold in memory.",
    )
    query_max_values: int = Field(
        default=20_000_000,
        ge=1000,
        description="Values that the evaluation of one expression may hold in memory at once.",
    )
    query_max_values_at_once: int = Field(
        default=60_000_000,
        ge=1000,
        description="The same for all evaluations of a process together; what exceeds it is "
        "answered 503.",
    )
    query_max_label_bytes: int = Field(
        default=16_000_000,
        ge=1000,
        description="Bytes of labels that one expression may make (`label_replace`).",
    )
    query_max_result_bytes: int = Field(
        default=32_000_000,
        ge=10_000,
        description="About how many bytes a result, or those of a batch together, may have before "
        "they are compressed.",
    )
    query_batch_max: int = Field(default=300, ge=1, le=1000, description="Queries in one batch.")
    query_batch_timeout: float = Field(
        default=20.0, gt=0, description="Time all queries of a batch may take together."
    )
    query_timeout: float = Field(
        default=10.0,
        gt=0,
        description="Time one query may take: its statements and their evaluation together.",
    )
    query_cache_live: int = Field(
        default=10, ge=1, description="Life of cached points that samples can still change."
    )
    query_cache_historical: int = Field(
        default=300,
        ge=1,
        description="Life of cached settled points; samples beyond the allowed lateness show "
        "within it.",
    )
    query_grace_raw: float = Field(
        default=70.0,
        ge=0,
        description="How late a sample may come and be seen by the next refresh, from raw.",
    )
    query_grace_rollup: float = Field(
        default=180.0,
        ge=0,
        description="The same from the rollups, their refresh included.",
    )
    retention_raw: int = Field(
        default=7 * 86_400,
        ge=3600,
        description="Retention of raw samples, a day or longer. Each migration applies it to "
        "the database's policies.",
    )
    retention_minute: int = Field(
        default=30 * 86_400,
        ge=3600,
        description="Retention of the minute tier; no shorter than raw samples.",
    )
    retention_hour: int = Field(
        default=365 * 86_400,
        ge=3600,
        description="Retention of the hour tier; no shorter than the minutes.",
    )
    retention_events: int = Field(
        default=365 * 86_400, ge=3600, description="How long events are kept."
    )

    # Dashboards
    dashboard_cache: int = Field(
        default=30, ge=1, description="Life of a dashboard in the cache, deleted on its changes."
    )
    dashboard_max_panels: int = Field(default=500, ge=1, description="Panels on one dashboard.")
    variable_max_values: int = Field(
        default=1_000, ge=1, le=10_000, description="Values that a dashboard's variable lists."
    )
    variable_max_series: int = Field(
        default=20_000, ge=1, description="Series that a variable's query looks at."
    )
    dashboard_versions: int = Field(
        default=100, ge=1, description="Former states of a dashboard that can be restored."
    )

    # Alerts
    alert_max_rules: int = Field(default=20_000, ge=1, description="Alert rules there may be.")
    alert_max_series: int = Field(
        default=1_000, ge=1, description="Series one rule may watch; more is an error of the rule."
    )
    alert_forget_after: int = Field(
        default=86_400,
        ge=60,
        description="A series without data for this long is dropped; if it fires, it resolves.",
    )
    alert_catch_up: int = Field(
        default=30, ge=1, description="Missed ticks (10 s each) that are evaluated afterwards."
    )
    alert_tick_budget: float = Field(
        default=8.0, gt=0, description="Time after which catching up is left to the next tick."
    )
    alert_read_budget: float = Field(
        default=8.0,
        gt=0,
        description="Time in which a tick reads for all rules; rules left over are read at a later"
        " tick.",
    )
    alert_left_over_after: float = Field(
        default=60.0,
        gt=0,
        description="A rule that there was no time to read for so long is marked.",
    )
    alert_heavy_from: float = Field(
        default=0.5,
        gt=0,
        description="From this time on reading for one rule is heavy: it comes after the others,"
        " in turns with other heavy ones.",
    )
    alert_heavy_longest_retry: float = Field(
        default=300.0,
        ge=0,
        description="Longest wait before a heavy rule that can't be read is tried again.",
    )
    alert_rule_timeout: float = Field(
        default=3.0,
        gt=0,
        description="Time that reading for one rule may take when it is read by itself.",
    )
    alert_max_samples: int = Field(
        default=2_000_000,
        ge=1_000,
        description="Samples that one rule's expression may read at a tick, and that a tick holds "
        "for rules that share them; four times as many values in between. More is an error of the "
        "rule.",
    )
    alert_lock_timeout: float = Field(
        default=4.0,
        gt=0,
        description="Time that a tick, or a change of a rule, waits for another; one that stands"
        " still for as long is ended by the database.",
    )
    alert_group_wait: int = Field(
        default=10,
        ge=0,
        le=3600,
        description="How long a rule's first alert waits for others, where the rule doesn't say.",
    )
    alert_group_interval: int = Field(
        default=60,
        ge=0,
        le=86_400,
        description="Shortest time between two notifications of a rule, where the rule doesn't "
        "say.",
    )
    alert_claim_limit: int = Field(
        default=200, ge=1, le=500, description="Notifications handed to `notify` at once."
    )
    alert_digest_from: int = Field(
        default=20,
        ge=2,
        description="From so many rules on that a receiver is to be notified of at once, one"
        " notification stands for many; PagerDuty gets each.",
    )
    alert_claim_bytes: int = Field(
        default=180_000,
        ge=20_000,
        le=240_000,
        description="Size of what is handed to `notify` at once; Step Functions accepts 256 KiB.",
    )
    alert_claim_lease: int = Field(
        default=20,
        ge=10,
        description="An unacknowledged notification is sent again after this, later each time.",
    )
    alert_max_attempts: int = Field(
        default=10, ge=1, description="Attempts before a notification is shown as a dead letter."
    )
    alert_first_retry: float = Field(
        default=10.0, gt=0, description="Wait after the first failed attempt; doubled each time."
    )
    alert_longest_retry: float = Field(
        default=60.0, gt=0, description="Longest wait between two attempts."
    )
    alert_give_up: float = Field(
        default=86_400.0,
        gt=0,
        description="After so long, a receiver that fails and that the rule does not use any more, "
        "or whose rule is deleted or disabled, is no longer notified that alerts are over.",
    )
    alert_send_timeout: float = Field(
        default=8.0, gt=0, description="Time a receiver has for a notification, in all."
    )
    alert_notify_deadline: float = Field(
        default=6.5,
        gt=0,
        description="Time in which `notify` sends what it got at once; the loop ends it after 8 s.",
    )
    alert_allow_private: bool = Field(
        default=False,
        description="Send notifications to private, loopback and link-local addresses too.",
    )
    alert_email_from: str | None = Field(
        default=None, description="Sender of email by SES; it must be verified there."
    )
    alert_pagerduty_url: str = Field(
        default="https://events.pagerduty.com/v2/enqueue",
        description="Events API of PagerDuty; accounts in the EU have another.",
    )
    alert_outbox_retention: int = Field(
        default=7 * 86_400, ge=3600, description="Age at which sent notifications are removed."
    )
    alert_history_retention: int = Field(
        default=400 * 86_400, ge=86_400, description="Age at which resolved alerts are removed."
    )
    alert_series: bool = Field(
        default=True,
        description="Write pending and firing alerts as the series ALERTS and ALERTS_FOR_STATE.",
    )
    recording_interval: int = Field(
        default=60,
        ge=10,
        le=86_400,
        description="Seconds between two evaluations of a recording rule whose group sets none.",
    )
    recording_max_rules: int = Field(
        default=10_000, ge=1, description="Recording rules there may be."
    )
    recording_max_series: int = Field(
        default=10_000, ge=1, description="Series one recording rule may write at once."
    )
    alert_preview_max_values: int = Field(
        default=5_000_000,
        ge=1_000,
        description="Ticks × series of one backtest, which holds a value for each, and samples "
        "that it reads.",
    )
    alert_preview_max_changes: int = Field(
        default=5_000, ge=10, description="Changes of state that one backtest shows."
    )

    # Sign-in
    key_memory: float = Field(
        default=5.0,
        ge=0,
        description="How long a process caches an API key that it has looked up: a revoked key "
        "works that long at most.",
    )
    session_lifetime: int = Field(
        default=7 * 86_400, ge=60, description="A session ends after this time without use."
    )
    login_attempts: int = Field(
        default=10, ge=1, description="Failed sign-ins per account and address in the window."
    )
    login_window: int = Field(default=300, ge=1, description="Window of the sign-in limit.")
    password_hashes: int = Field(
        default=4,
        ge=1,
        description="Passwords that one process hashes at once; each takes 64 MiB. Others wait two "
        "seconds, then get 503.",
    )
    edge_secret: SecretStr | None = Field(
        default=None,
        description="What CloudFront sends to the API (`x-pulseboard-edge`): with it, and "
        "only then, the caller's address is read from `x-pulseboard-viewer`.",
    )
    edge_only: bool = Field(
        default=False,
        description="Refuse requests without `edge_secret`: API Gateway's own address is closed "
        "where a web ACL guards CloudFront's.",
    )
    cookie_secure: bool = Field(
        default=True, description="Send the session cookie over HTTPS (and to localhost) only."
    )
    page_size: int = Field(default=50, ge=1, le=1000, description="Entries on a page of a list.")

    # Observability
    metrics: Literal["none", "alarms", "all"] = Field(
        default="none",
        description="Write Pulseboard's own metrics into the log, for CloudWatch: those that "
        "alarms read, or all. Each is $0.30 a month there.",
    )
    own_metrics_interval: int = Field(
        default=10,
        ge=0,
        description="Seconds between two writes of telemetry by one process; 0: none.",
    )
    database_disk_bytes: int = Field(
        default=0, ge=0, description="Size of the database's disk, 0 when unknown: to see it fill."
    )
    access_log: Literal["none", "errors", "all"] = Field(
        default="none",
        description="A line in the log, with the caller's address, for each request that failed "
        "or for each request.",
    )
    log_level: str = Field(default="INFO", description="Least severity that is logged.")
    stage: str = Field(default="local", description="Name of this environment in logs.")

    @property
    def query_max_found(self) -> int:
        """The most series that one selector may find: more than are shown, to aggregate them."""
        return self.query_max_series * 10

    @property
    def spills(self) -> bool:
        """Whether samples can wait somewhere while the database is away."""
        return bool(self.spill_bucket or self.spill_dir)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read on first use. Tests call `settings.cache_clear()`."""
    return Settings()


on_reset(settings.cache_clear)
