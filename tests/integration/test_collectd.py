"""collectd's JSON over HTTP, and the real daemon where it is installed."""

import csv
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.server import client_seconds, serving, wait_until
from tests.support.stored_samples import rows, stored

pytestmark = pytest.mark.integration
URL = "/api/v1/collectd"
COLLECTD = shutil.which("collectd") or shutil.which("collectd", path="/usr/sbin")

CONFIGURATION = """
Hostname "web-1"
FQDNLookup false
Interval 1
BaseDir "{home}"
PIDFile "{home}/pid"
TypesDB "/usr/share/collectd/types.db"
LoadPlugin logfile
LoadPlugin interface
LoadPlugin load
LoadPlugin memory
LoadPlugin csv
<LoadPlugin write_http>
  FlushInterval 10
</LoadPlugin>
<Plugin logfile>
  File "{home}/log"
</Plugin>
<Plugin csv>
  DataDir "{home}/csv"
</Plugin>
<Plugin write_http>
  <Node "pulseboard">
    URL "{url}/api/v1/collectd"
    Header "Authorization: Bearer {key}"
    Format "JSON"
    StoreRates false
    BufferSize 65536
    LogHttpError true
  </Node>
</Plugin>
"""


def value_list(**changes: Any) -> dict[str, Any]:
    return {
        "host": "web-1", "plugin": "interface", "plugin_instance": "eth0", "type": "if_octets",
        "type_instance": "", "time": time.time(), "interval": 10, "dsnames": ["rx", "tx"],
        "dstypes": ["derive", "derive"], "values": [1, 2], **changes,
    }  # fmt: skip


def test_value_lists_are_stored_and_bad_ones_named(agent: TestClient) -> None:
    response = agent.post(URL, json=[value_list(), value_list(values=[1]), value_list(host="b")])
    assert response.status_code == 200
    data = response.json()["data"]
    assert (data["accepted"], data["rejected"], data["errors"][0]["index"]) == (4, 1, 1)
    assert rows("select name, type from metric_definitions order by name") == [
        ("interface_if_octets_rx", "counter"),
        ("interface_if_octets_tx", "counter"),
    ]
    refused = agent.post(URL, json=[value_list(values=[1])])
    assert refused.status_code == 400
    assert "as many values" in refused.json()["error"]


@pytest.mark.skipif(COLLECTD is None, reason="collectd is not installed")
def test_query_results_equal_what_collectd_measured(ingest_key: str, tmp_path: Path) -> None:
    """What it measured is in its own CSV files, to six decimals."""
    assert COLLECTD
    with serving() as url:
        configuration = tmp_path / "collectd.conf"
        configuration.write_text(CONFIGURATION.format(home=tmp_path, url=url, key=ingest_key))
        command = [COLLECTD, "-f", "-C", str(configuration)]
        daemon = subprocess.Popen(command, env={**os.environ, "LC_ALL": "C"})
        try:
            wait_until(lambda: len(list(tmp_path.glob("csv/web-1/*/*"))) > 3)
            time.sleep(client_seconds(5))
        finally:
            # On SIGTERM it sends what it holds.
            daemon.terminate()
            daemon.wait(30)
    measured = {}
    for file in (tmp_path / "csv" / "web-1").glob("*/*"):
        plugin, _, instance = file.parent.name.partition("-")
        # A file is called {type}[-{type instance}]-{year}-{month}-{day}.
        kind, _, of = file.name[:-11].partition("-")
        with file.open() as lines:
            for line in csv.DictReader(lines):
                timestamp = round(float(line.pop("epoch")) * 1000)
                for source, value in line.items():
                    if not value or value == "nan":
                        continue
                    parts = [plugin, kind if kind != plugin else "",
                             source if source != "value" else ""]  # fmt: skip
                    name = "_".join(part for part in parts if part)
                    measured[name, instance, of, timestamp] = float(value)
    returned = {
        (name, tags.pop("plugin_instance", ""), tags.pop("type_instance", ""), timestamp): value
        for name, tags, value, timestamp in stored()
    }
    log = (tmp_path / "log").read_text()
    assert "load_shortterm" in {name for name, *_ in measured}, log
    assert set(returned) == set(measured), log
    assert returned == pytest.approx(measured, rel=1e-9, abs=1e-6), log
