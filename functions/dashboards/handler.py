"""The Lambda function `dashboards`."""

from functions import bootstrap

bootstrap.before_imports()

from functions.dashboards.routes import router

handler = bootstrap.http_handler([router])
bootstrap.after_imports()
