"""The Lambda functions, a package each."""

import gc
import os

from pulseboard import lean_imports

lean_imports.install()
# Importing makes a hundred thousand objects that stay. To look through them for garbage every 700
# took a third of a cold start, and every 50,000 still a fifteenth.
gc.set_threshold(250_000, 20, 20)
# numpy's linear algebra, of which nothing is used here, would start a thread for each processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def imported() -> None:
    """To be called by a handler's module when it has imported everything.

    What is there by then stays and is never looked through again, as the first requests would.
    Requests make far fewer objects, and rarely circles of them.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
