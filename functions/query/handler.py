"""The Lambda function `query`."""

from functions import bootstrap

bootstrap.before_imports()

from functions.query.routes import router
from functions.query.usage import router as usage

handler = bootstrap.http_handler([router, usage])
bootstrap.after_imports()
