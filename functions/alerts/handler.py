"""The Lambda function `alerts`."""

from functions import imported
from functions.alerts.channels import router as channels
from functions.alerts.routes import router as rules
from pulseboard.http.aws import lambda_handler

handler = lambda_handler([rules, channels])
imported()
