"""Distributes the tests over several workers (`pytest -n auto`)."""

from xdist.scheduler import LoadScopeScheduling

GROUPS = {
    "tests/e2e/test_deployed.py": "cdk",
    "tests/infra/": "cdk",
    "tests/e2e/": "e2e",
}
"""Groups of tests that share a slow setup, or a file that one of them changes."""


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """One worker runs all tests of a group, or else of a file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((group for part, group in GROUPS.items() if file.startswith(part)), file)
