"""Whether something cached is still fresh, by the wall clock.

The monotonic clock stands still while a Lambda environment is frozen between two requests: what
must not outlive some seconds can't be measured by it. It is right for deadlines within a request.
"""

from time import time


def is_fresh(since: float, seconds: float) -> bool:
    """Whether fewer than `seconds` have passed since a time (seconds since 1970).

    False as well when the clock was set back, since then nobody knows.
    """
    return 0 <= time() - since < seconds
