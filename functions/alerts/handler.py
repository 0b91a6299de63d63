"""The Lambda function `alerts`."""

from functions import bootstrap

bootstrap.before_imports()

from functions.alerts.channels import router as channels
from functions.alerts.prometheus import router as prometheus
from functions.alerts.recordings import router as recordings
from functions.alerts.routes import router as rules
from functions.http_app import http_app
from pulseboard.web.lambda_adapter import lambda_handler

handler = lambda_handler(http_app([rules, recordings, channels, prometheus]))
bootstrap.after_imports()
