"""Proving: an earner's epoch as one file that holds everything to do the amount again by hand, offline."""
