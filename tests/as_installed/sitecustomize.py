"""Run by every Python that a test starts: it finds no pandas, as in the environment of somebody who installs us.

Only the tests bring pandas, as one of those that read our exports. Where pyarrow finds it, it imports it at the first
array that is made, which is more than half of what a command takes to begin.
"""

import sys


class NotInstalled:
    """Says of pandas what the import system says of a package that nobody has installed."""

    def find_spec(self, name: str, path: object, target: object = None, /) -> None:
        """Leave every other module to those who come next."""
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")


sys.meta_path.insert(0, NotInstalled())
