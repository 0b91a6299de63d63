import json
import time
import urllib.request

URL = "https://pulseboard.example.com/api/v1/metrics"
KEY = "pb_YOUR_KEY"


def send(*points):
    """Send samples; raises HTTPError 503 when the server can't store them now: send again."""
    request = urllib.request.Request(
        URL,
        data=json.dumps(points).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["data"]


now = int(time.time() * 1000)
print(send({"name": "orders_total", "value": 42, "tags": {"shop": "north"}, "timestamp": now}))
