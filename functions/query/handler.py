"""The Lambda function `query`."""

from functions import imported
from functions.query.routes import router
from functions.query.usage import router as usage
from pulseboard.http.aws import lambda_handler

handler = lambda_handler([router, usage])
imported()
