"""Messages of rules beside what Prometheus itself makes of them, by its promtool."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pulseboard.core.text_templates import TemplateData, render

pytestmark = pytest.mark.integration

VALUES = (0.0, 1.0, -1.5, 95.5, 123456789.0, 1e-7, 1024.0, 86_461.25, 1.7e9, 12345.678, 9e18)
TEXTS = (
    "{{ $value }}|{{ humanize $value }}|{{ humanize1024 $value }}|{{ .Value | humanize }}",
    "{{ $value | humanizePercentage }}",
    "{{ $value | humanizeDuration }}|{{ $labels.host | title }}|{{ toUpper $labels.host }}",
    '{{ printf "%.2f" $value }}|{{ $value | printf "%5.1f" }}|{{ printf "%v %s" $value "x" }}',
    '{{ printf "%g" $value }}|{{ printf "%e" $value }}|{{ printf "%d %s" $value $value }}',
    r'{{ reReplaceAll "(.*):(\\d+)" "$2-${1}$3" $labels.host }}|{{ $labels.nobody }}|',
    '{{ $labels.host | reReplaceAll "a" "" }}|{{ print $value " " $labels.host }}|{{- "b" -}} |',
)
TIMESTAMPS = ("{{ $value | humanizeTimestamp }}",)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("value", VALUES)
def test_promtool_fills_them_as_we_do(value: float, tmp_path: Path) -> None:
    texts = TEXTS + (TIMESTAMPS if value < 1e12 else ())
    data = TemplateData(value, {"host": "a.b:90"})
    filled = {f"a{number}": render(text, data) for number, text in enumerate(texts)}
    annotations = {f"a{number}": text for number, text in enumerate(texts)}
    rules = [{"alert": "A", "expr": "m == m", "annotations": annotations}]
    expected = {
        "exp_labels": {"host": "a.b:90"},
        "exp_annotations": filled,
    }
    test = {
        "rule_files": ["rules.yml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": 'm{host="a.b:90"}', "values": repr(value)}],
                "alert_rule_test": [
                    {"eval_time": "0m", "alertname": "A", "exp_alerts": [expected]}
                ],
            }
        ],
    }
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, re.sub(r"\n\s*", "\n", done.stdout + done.stderr)
