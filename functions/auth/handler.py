"""The Lambda function `auth`."""

from functions import bootstrap

bootstrap.before_imports()

from functions.auth.routes import router

handler = bootstrap.http_handler([router])
bootstrap.after_imports()
