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
    dataset_directory: settings.DatasetDirectoryIfAny = None,
    bundle_directory: settings.BundleDirectoryIfAny = None,
    request_rate: settings.RequestRate = settings.API_REQUEST_RATE,
    value_rate: settings.ValueRate = settings.API_VALUE_RATE,
    trusted_proxy: settings.TrustedProxies = None,
    origin: settings.Origins = None,
    documents: settings.Documents = None,
    documents_only: settings.DocumentsOnly = False,
) -> None:
    """Serve GraphQL, exports, the published log and a page for people until told to stop."""
    from deepnode_graphql.server import serve as serve_api
    from deepnode_graphql.terms import Terms

    terms = Terms(
        request_rate=request_rate,
        value_rate=value_rate,
        proxies=tuple(trusted_proxy or ()),
        origins=tuple(origin or ()),
        documents=documents,
        documents_only=documents_only,
    )
    # The server ends by itself at a signal, and then raises it again for whoever was there before it: that is us, and
    # having ended as asked is no failure.
    with on_interrupt(lambda: None):
        serve_api(
            database,
            load_manifest(manifest),
            host,
            port,
            log_directory=log_directory,
            dataset_directory=dataset_directory,
            bundle_directory=bundle_directory,
            terms=terms,
        )
