"""The Lambda function `dashboards`."""

from mangum import Mangum

from functions.dashboards.routes import router
from pulseboard.http.app import create_app

handler = Mangum(create_app([router]), lifespan="off")
