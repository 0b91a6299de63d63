"""The Lambda function `query`."""

from functions.query.routes import router
from pulseboard.http.aws import lambda_handler

handler = lambda_handler([router])
