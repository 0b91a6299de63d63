"""Any path has a response: a file, the app's page, or an error of the contract."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from functions import dev
from pulseboard.core.settings import settings


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/a/%00/b",
        "/" + "a" * 5_000,
        "/" + "a/" * 3_000,
        "/%ED%A0%80",
        "/..%2f..%2fetc/passwd",
    ],
)
def test_a_path_that_no_file_can_have_is_the_apps_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "index.html").write_text("the app")
    monkeypatch.setenv("PULSEBOARD_STATIC_DIR", str(tmp_path))
    settings.cache_clear()
    with TestClient(dev.local()) as http:
        for address, status in ((path, 200), (f"/assets{path}", 404), (f"/api{path}", 404)):
            response = http.get(address)
            assert response.status_code == status, address
            if status == 200:
                assert response.text == "the app"
            else:
                assert response.json()["code"] == "NOT_FOUND"
    settings.cache_clear()
