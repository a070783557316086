"""Verifying a single file: a proof, a statement or an export, offline, alone or beside the bundle that it is of."""

from deepnode_cli.verifying.single.opening import verify_file

__all__ = ["verify_file"]
