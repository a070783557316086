"""Statements: what an accountant gets of an address for a period."""
