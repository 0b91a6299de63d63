"""The Lambda function `query`."""

from functions import bootstrap

bootstrap.before_imports()

from functions.http_app import http_app
from functions.query.prometheus import router as prometheus
from functions.query.routes import router
from functions.query.usage import router as usage
from functions.query.variables import router as variables
from pulseboard.web.lambda_adapter import lambda_handler

handler = lambda_handler(http_app([router, usage, variables, prometheus]))
bootstrap.after_imports()
