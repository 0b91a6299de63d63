"""Every setting, its default and what it means. Read by `settings()`, never at import.

The environment variable of a field is its name in capitals after ``PULSEBOARD_``;
`DATABASE_URL`, `REDIS_URL` and `PORT` stand without the prefix, as is the custom.
"""

from functools import lru_cache
from pathlib import Path

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
        default="service.name,service.namespace,service.instance.id,host.name,"
        "deployment.environment,deployment.environment.name,k8s.cluster.name,k8s.namespace.name,"
        "k8s.pod.name,cloud.region",
        description="Attributes of an OpenTelemetry resource that become tags, between commas; a "
        "point's own attributes all do.",
    )
    otlp_scope: bool = Field(
        default=False,
        description="Make tags of an OpenTelemetry scope too, `otel.scope.name` and "
        "`otel.scope.version`.",
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
        default=0.067,
        ge=0,
        description="Dollars that a million samples cost, in requests and functions, for the "
        "estimate on the usage page; 50 samples in a request are assumed (`make cost`).",
    )
    usage_thousand_series: float = Field(
        default=1.65,
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

    # Dashboards
    dashboard_cache: int = Field(
        default=30, ge=1, description="Life of a dashboard in the cache, deleted on its changes."
    )
    dashboard_max_panels: int = Field(default=200, ge=1, description="Panels on one dashboard.")
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
        description="Time in which a tick reads all expressions; rules left over are marked.",
    )
    alert_rule_timeout: float = Field(
        default=3.0,
        gt=0,
        description="Time that reading one rule's expression may take when it is read by itself.",
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
        default=90, ge=5, description="An unacknowledged notification is sent again after this."
    )
    alert_max_attempts: int = Field(
        default=10, ge=1, description="Attempts before a notification is shown as a dead letter."
    )
    alert_first_retry: float = Field(
        default=10.0, gt=0, description="Wait after the first failed attempt; doubled each time."
    )
    alert_longest_retry: float = Field(
        default=300.0, gt=0, description="Longest wait between two attempts."
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
    alert_email_topic: str | None = Field(
        default=None,
        description="ARN of an SNS topic that receives emails where SES is not set up.",
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
    cookie_secure: bool = Field(
        default=True, description="Send the session cookie over HTTPS (and to localhost) only."
    )
    page_size: int = Field(default=50, ge=1, le=1000, description="Entries on a page of a list.")

    # Observability
    metrics: bool = Field(
        default=False, description="Write Pulseboard's own metrics into the log, for CloudWatch."
    )
    own_metrics_interval: int = Field(
        default=10,
        ge=0,
        description="Seconds between two writes of telemetry by one process; 0: none.",
    )
    database_disk_bytes: int = Field(
        default=0, ge=0, description="Size of the database's disk, 0 when unknown: to see it fill."
    )
    log_level: str = Field(default="INFO", description="Least severity that is logged.")
    stage: str = Field(default="local", description="Name of this environment in logs.")

    @property
    def spills(self) -> bool:
        """Whether samples can wait somewhere while the database is away."""
        return bool(self.spill_bucket or self.spill_dir)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read on first use. Tests call `settings.cache_clear()`."""
    return Settings()


on_reset(settings.cache_clear)
