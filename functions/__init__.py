"""The Lambda functions, a package each."""

import gc
import os

# Importing makes hundreds of thousands of objects that stay. To look through them for garbage
# every 700 took a third of a cold start; requests make far fewer, and rarely circles.
gc.set_threshold(50_000, 20, 20)
# numpy's linear algebra, of which nothing is used here, would start a thread for each processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
