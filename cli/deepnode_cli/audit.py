"""``deepnode audit``: checking the books and the log by other means than those that made them."""

import typer

from deepnode_cli.auditing.diff import diff
from deepnode_cli.auditing.epoch import epoch
from deepnode_cli.auditing.proof import proof
from deepnode_cli.auditing.recompute import recompute
from deepnode_cli.auditing.replay import replay

app = typer.Typer(help="Check the books and the log by other means than those that made them.", no_args_is_help=True)
app.command()(epoch)
app.command()(diff)
app.command()(proof)
app.command()(recompute)
app.command()(replay)
