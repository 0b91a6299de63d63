"""The Lambda function `ingest`."""

from functions import bootstrap

bootstrap.before_imports()

from functions.http_app import http_app
from functions.ingest.collectd import router as collectd
from functions.ingest.datadog import router as datadog
from functions.ingest.events import router as events
from functions.ingest.influx import router as influx
from functions.ingest.otlp import router as otlp
from functions.ingest.remote_write import router as remote_write
from functions.ingest.routes import router
from pulseboard.web.lambda_adapter import lambda_handler

handler = lambda_handler(http_app([router, remote_write, otlp, influx, datadog, collectd, events]))
bootstrap.after_imports()
