"""Registers: every kind of record of the books through GraphQL, out of the record's declaration alone."""
