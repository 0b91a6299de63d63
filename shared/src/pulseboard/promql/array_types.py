"""Names for the types of numpy arrays."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]
Micros = NDArray[np.int64]
"""Microseconds since 1970."""
