"""The built-in dashboards."""

import json
from importlib import resources
from typing import Any
from uuid import UUID

import psycopg

from pulseboard.contracts.dashboards import Dashboard, DashboardDocument
from pulseboard.dashboards import document as dashboard_document
from pulseboard.dashboards import store as dashboards_store

ORDER = ("this-machine", "fleet-of-hosts", "http-service", "pulseboard-itself")
"""The first is the one that a new user sees."""


def documents() -> list[DashboardDocument]:
    """The files, in order."""
    folder = resources.files("pulseboard.dashboards.built_in")
    return [
        dashboard_document.parse(json.loads(file.read_text(encoding="utf-8")))[0]
        for file in (folder / f"{name}.json" for name in ORDER)
        if file.is_file()
    ]


def create(connection: psycopg.Connection[Any], *, owner_id: UUID) -> list[Dashboard]:
    """Create each of them, public; the first is the newest, so it comes first in the list."""
    created = [
        dashboards_store.create_dashboard(
            connection,
            owner_id=owner_id,
            body=dashboard_document.to_create(document).model_copy(update={"is_public": True}),
        )
        for document in reversed(documents())
    ]
    return created[::-1]
