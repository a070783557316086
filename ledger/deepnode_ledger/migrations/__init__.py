"""Versions of the schema ``log``, run by ``schema``: each file takes the tables one version further, never back.

A file that was once released is history: it is not edited, and it imports nothing of the program that could change.
Its name and its revision carry the same four digits, and the newest is ``tables.VERSION``.
"""
