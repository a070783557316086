"""The log's tables, in the PostgreSQL schema ``log``; ``migrations`` makes them, ``schema`` runs it.

``sealed`` itself belongs to the recorder (see ``recorder``). All times are block times in seconds since 1970; all
hashes are raw bytes.
"""

from typing import Final

from deepnode_ledger.batch import COLUMNS

SCHEMA: Final = "log"

VERSION: Final = "0002"
"""Version of these tables: the newest of ``migrations``. A database of a newer one is refused at the start."""

PENDING_COLUMNS: Final = ", ".join(COLUMNS)
