"""Making a bundle: what it needs besides the log itself, from nodes and from the program."""
