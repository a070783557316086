"""The dataset: closed epochs as Parquet files that never change, and a manifest that vouches for them.

``epochs`` says which epochs are closed, ``writing`` makes a file of one, ``making`` all that are missing, ``manifest``
is the list of them, ``verifying`` compares files with the list and the books, and ``http`` serves them.
"""
