"""The built-in dashboards: readable, tidy, and with supported queries only."""

import itertools

import pytest

from pulseboard.contracts.dashboards import DashboardDocument
from pulseboard.dashboards import built_in, layout
from pulseboard.dashboards.grafana.queries import unanswerable

DOCUMENTS = built_in.documents()


def test_this_machine_comes_first() -> None:
    assert DOCUMENTS[0].name == "This machine"
    assert len(DOCUMENTS) == len({document.name for document in DOCUMENTS}) >= 3


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_panels_do_not_overlap_and_have_supported_queries(
    document: DashboardDocument,
) -> None:
    for one, other in itertools.combinations(document.panels, 2):
        assert not layout.overlap(one.position, other.position), (one.title, other.title)
    names = {variable.name for variable in document.settings.variables}
    for panel in document.panels:
        for query in panel.all_queries():
            assert unanswerable(query.query) is None, (panel.title, query.query)
            for word in query.query.split("$")[1:]:
                name = word.split('"')[0].split("]")[0]
                assert name in names or name == "__rate_interval", (panel.title, name)
