"""Pulseboard: metrics monitoring with no server to run."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pulseboard")
except PackageNotFoundError:  # a Lambda layer holds the files without their metadata
    __version__ = "0.1.0"
