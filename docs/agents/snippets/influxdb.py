from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS

with InfluxDBClient(
    url="https://pulseboard.example.com", token="pb_YOUR_KEY", org="any"
) as client:
    client.write_api(write_options=SYNCHRONOUS).write(
        bucket="any", record=Point("orders").tag("shop", "north").field("total", 42)
    )
