"""The Lambda function `auth`."""

from mangum import Mangum

from functions.auth.routes import router
from pulseboard.http.app import create_app

handler = Mangum(create_app([router]), lifespan="off")
