"""``deepnode health``: is a part of the ledger at work? For health checks of containers and supervisors."""

from enum import StrEnum
from typing import Annotated

import typer
import urllib3

from deepnode_cli import settings
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.publishing import is_kept as is_published

TIMEOUT_SECONDS = 3.0


class Part(StrEnum):
    """What can be asked after."""

    INDEXER = "indexer"
    PROJECTIONS = "projections"
    PUBLISHER = "publisher"
    API = "api"


def health(
    part: Annotated[Part, typer.Argument(help="Which part to ask after.")],
    database: Annotated[
        str | None, typer.Option("--database", envvar="DEEPNODE_DATABASE_URL", help="For projections.", metavar="URL")
    ] = None,
    log_directory: settings.LogDirectoryIfAny = None,
    port: settings.Port = settings.API_PORT,
    intake_port: settings.IntakePort = settings.INTAKE_PORT,
) -> None:
    """Exit with 0 if the part is at work on this machine, with 1 and the reason if it is not."""
    if part is Part.PROJECTIONS:
        from deepnode_projections.projector import is_kept

        if database is None:
            raise BadInput("health of the projections needs --database or DEEPNODE_DATABASE_URL")
        if not is_kept(database):
            raise TryAgain("no projector is at work on this database")
        return
    if part is Part.PUBLISHER:
        if log_directory is None:
            raise BadInput("health of the publisher needs --log-directory or DEEPNODE_LOG_DIRECTORY")
        if not is_published(log_directory):
            raise TryAgain(f"no publisher is at work in {log_directory}")
        return
    url = f"http://{settings.LOOPBACK}:{port if part is Part.API else intake_port}/health"
    try:
        response = urllib3.request("GET", url, timeout=TIMEOUT_SECONDS, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise TryAgain(f"the {part} does not answer at {url}: {type(error).__name__}") from error
    if response.status != 200:
        raise TryAgain(f"the {part} at {url} answers {response.status}")
