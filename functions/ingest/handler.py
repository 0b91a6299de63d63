"""The Lambda function `ingest`."""

from mangum import Mangum

from functions.ingest.routes import router
from pulseboard.http.app import create_app

handler = Mangum(create_app([router]), lifespan="off")
