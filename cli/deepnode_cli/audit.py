"""``deepnode audit``: checking the books and the log by other means than those that made them."""

import typer

app = typer.Typer(
    help="Check the books and the log by other means than those that made them.", no_args_is_help=True
)
