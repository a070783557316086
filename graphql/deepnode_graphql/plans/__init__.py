"""Compiled plans: the queries that are asked most, answered without the library's executor, byte for byte the same."""
