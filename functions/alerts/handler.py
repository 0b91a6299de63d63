"""The Lambda function `alerts`."""

from mangum import Mangum

from functions.alerts.channels import router as channels
from functions.alerts.routes import router as rules
from pulseboard.http.app import create_app

handler = Mangum(create_app([rules, channels]), lifespan="off")
