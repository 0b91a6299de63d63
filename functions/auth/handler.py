"""The Lambda function `auth`."""

from functions import bootstrap

bootstrap.before_imports()

from functions.auth.routes import router
from functions.http_app import http_app
from pulseboard.web.lambda_adapter import lambda_handler

handler = lambda_handler(http_app([router]))
bootstrap.after_imports()
