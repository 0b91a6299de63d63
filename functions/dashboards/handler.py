"""The Lambda function `dashboards`."""

from functions import imported
from functions.dashboards.routes import router
from pulseboard.http.aws import lambda_handler

handler = lambda_handler([router])
imported()
