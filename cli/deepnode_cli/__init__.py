"""The `deepnode` command: the only room that reads settings, and the one that wires the others."""
