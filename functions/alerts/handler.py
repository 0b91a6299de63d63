"""The Lambda function `alerts`."""

from functions import bootstrap

bootstrap.before_imports()

from functions.alerts.channels import router as channels
from functions.alerts.routes import router as rules

handler = bootstrap.http_handler([rules, channels])
bootstrap.after_imports()
