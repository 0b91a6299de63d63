"""The state of the installation."""

from typing import Literal

from pydantic import Field

from pulseboard.contracts.base import Contract, UtcTime
from pulseboard.contracts.spill import SpillStatus


class Health(Contract):
    """Alive, nothing more: reads neither database nor cache."""

    status: Literal["ok"] = "ok"
    version: str
    agent_url: str | None = Field(
        default=None,
        description="Where agents send, when that is not where browsers are: it costs less.",
    )


class ComponentStatus(Contract):
    """One component that Pulseboard needs."""

    name: str
    ok: bool
    latency_ms: float | None = None
    message: str | None = None


class JobStatus(Contract):
    """A background job of the database: refresh, retention or columnstore policy."""

    id: int
    name: str
    target: str | None = None
    last_run_at: UtcTime | None = None
    next_run_at: UtcTime | None = None
    last_status: str | None = None
    late: bool = False


class Status(Contract):
    """Version, components, circuit breaker and background jobs; `spill` is null when unknown."""

    version: str
    time: UtcTime
    components: list[ComponentStatus]
    circuit_breaker: Literal["closed", "open", "half-open"]
    jobs: list[JobStatus] = Field(default_factory=list)
    metrics_count: int = Field(default=0, ge=0)
    series_count: int = Field(default=0, ge=0)
    spill: SpillStatus | None = None
