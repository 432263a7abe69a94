"""Measurements of us and the alternative in one run. `python -m benchmarks NAME`, or `make bench` for all."""
