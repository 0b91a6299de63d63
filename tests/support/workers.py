"""What several workers (`pytest -n auto`) share out among them."""

from xdist.scheduler import LoadScopeScheduling

GROUPS = {
    "tests/e2e/test_deployed.py": "cdk",
    "tests/infra/": "cdk",
    "tests/e2e/": "e2e",
}
"""Tests that share what is slow to start, or a file that one of them changes."""


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """One worker runs all tests of a group, or else of a file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((group for part, group in GROUPS.items() if file.startswith(part)), file)
