"""Charts as files: the same bytes for the same figures, on any machine, in any time zone. Nothing is ever displayed."""

from deepnode_cli.charting.picture import FORMATS, Alternative, render
from deepnode_cli.charting.whatif_chart import Drawn, RoleBar, draw

__all__ = ["FORMATS", "Alternative", "Drawn", "RoleBar", "draw", "render"]
