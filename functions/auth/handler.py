"""The Lambda function `auth`."""

from functions import imported
from functions.auth.routes import router
from pulseboard.http.aws import lambda_handler

handler = lambda_handler([router])
imported()
