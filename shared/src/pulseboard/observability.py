"""Structured logs with the request's id; secrets are never put in."""

from functools import lru_cache

from aws_lambda_powertools import Logger

from pulseboard.settings import settings


@lru_cache(maxsize=1)
def logger() -> Logger:
    """The JSON logger of this process, made on first use since it reads the settings."""
    return Logger(service="pulseboard", level=settings().log_level, stage=settings().stage)
