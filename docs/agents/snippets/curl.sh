curl https://pulseboard.example.com/api/v1/metrics \
  -H 'Authorization: Bearer pb_YOUR_KEY' \
  -H 'Content-Type: application/json' \
  -d '{"name": "orders_total", "value": 42, "tags": {"shop": "north"}}'
