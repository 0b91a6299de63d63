"""Benchmarks: what the product costs beside the bare database. Run `make bench`."""
