"""What is stored, who sends it, and what it is likely to cost."""

from pydantic import Field

from pulseboard.contracts.base import Contract, UtcTime


class KeyReceived(Contract):
    """What has come in by one API key: whether an agent that was just set up works."""

    last_used_at: UtcTime | None = Field(
        default=None, description="When the key was last shown; written at most once a minute."
    )
    series_count: int = Field(ge=0, description="Series it sent last, counted up to 1000.")
    metrics: list[str] = Field(description="Their metrics by name, the first 20.")
    recent_samples: int = Field(
        ge=0, description="Samples of the last 15 minutes in the newest 200 of these series."
    )
    newest_sample_at: UtcTime | None = Field(
        default=None, description="Time of the newest of those samples."
    )
