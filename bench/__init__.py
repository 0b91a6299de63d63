"""Benchmarks: the overhead of the product over the bare database. Run `make bench`."""
