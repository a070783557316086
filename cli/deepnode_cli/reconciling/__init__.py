"""Reconciling: the books of a block held against the contracts' own figures and against the laws of double entry."""
