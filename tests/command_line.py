"""The whole command line, for tests that call it within their own process."""

from deepnode_cli.commands import command_line

app = command_line()
