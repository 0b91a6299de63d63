"""The app of every function that serves HTTP requests, and of the local server."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from pulseboard.auth import access
from pulseboard.ingest import telemetry_store
from pulseboard.web.app import create_app


def http_app(routers: Sequence[APIRouter]) -> FastAPI:
    """These routers in one app that writes Pulseboard's own metrics to its database."""
    return create_app(routers, write_telemetry=telemetry_store.write, is_known=access.is_known)
