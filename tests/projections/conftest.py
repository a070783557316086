"""The paper deployment for the tests beside this file."""

import pytest

from deepnode_ledger.manifest import Manifest
from tests.ledger.paper_deployment import paper_manifest


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Two tokens, collateral, models and the router; nothing of it is on a chain."""
    return paper_manifest(tmp_path_factory.mktemp("manifest"))
