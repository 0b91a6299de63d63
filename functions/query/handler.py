"""The Lambda function `query`."""

from mangum import Mangum

from functions.query.routes import router
from pulseboard.http.app import create_app

handler = Mangum(create_app([router]), lifespan="off")
