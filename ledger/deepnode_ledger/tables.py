"""The log's tables, in the PostgreSQL schema ``log``; ``migrations`` makes them, ``schema`` runs it.

``sealed`` itself belongs to the recorder (see ``recorder``). All times are block times in seconds since 1970; all
hashes are raw bytes.
"""

from typing import Final

from deepnode_ledger.batch_versions import COLUMNS

SCHEMA: Final = "log"

VERSION: Final = "0007"
"""Version of these tables: the newest of ``migrations``. A database of a newer one is refused at the start."""

ROLE: Final = "deepnode_app"
"""What programs work as in these tables: it may add to the immutable ones and may not change them."""

PENDING_COLUMNS: Final = ", ".join(COLUMNS)
