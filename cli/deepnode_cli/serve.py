"""``deepnode serve``: the books to people, over HTTP."""

from deepnode_cli import settings
from deepnode_graphql.server import serve as serve_api
from deepnode_ledger.manifest import load_manifest


def serve(
    database: settings.Database,
    manifest: settings.ManifestPath,
    host: settings.Host = settings.LOOPBACK,
    port: settings.Port = settings.API_PORT,
) -> None:
    """Serve GraphQL, exports and a page for people until told to stop."""
    serve_api(database, load_manifest(manifest), host, port)
