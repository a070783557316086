"""``deepnode serve``: the books to people, over HTTP."""

from deepnode_cli import settings
from deepnode_cli.interruption import on_interrupt
from deepnode_ledger.manifest import load_manifest


def serve(
    database: settings.Database,
    manifest: settings.ManifestPath,
    host: settings.Host = settings.LOOPBACK,
    port: settings.Port = settings.API_PORT,
    log_directory: settings.LogDirectoryIfAny = None,
) -> None:
    """Serve GraphQL, exports, the published log and a page for people until told to stop."""
    from deepnode_graphql.server import serve as serve_api

    # The server ends by itself at a signal, and then raises it again for whoever was there before it: that is us, and
    # having ended as asked is no failure.
    with on_interrupt(lambda: None):
        serve_api(database, load_manifest(manifest), host, port, log_directory=log_directory)
