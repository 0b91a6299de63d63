"""What the module of a handler does before and after it imports everything else.

from functions import bootstrap

bootstrap.before_imports()

from functions.http_app import http_app
from functions.query.routes import router
from pulseboard.web.lambda_adapter import lambda_handler

handler = lambda_handler(http_app([router]))
bootstrap.after_imports()
"""

import gc
import os

from pulseboard.core import lazy_imports


def before_imports() -> None:
    """Make imports cheaper: a cold start consists of little else."""
    lazy_imports.install()
    # Importing creates a hundred thousand objects that stay. Scanning them for garbage every
    # 700 took a third of a cold start, and every 50,000 still a fifteenth.
    gc.set_threshold(250_000, 20, 20)
    # numpy's linear algebra, of which nothing is used here, would start a thread for each
    # processor.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def after_imports() -> None:
    """Keep what was imported out of garbage collection: it stays as long as the process.

    Requests make far fewer objects, and rarely cycles of them.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
