"""``deepnode keys``: the key that a log signs its checkpoints with.

The secret half is in one file that only its owner can read. It is never printed and never in a message: not when the
file cannot be read as a key, and not when it is shown.
"""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import Signer

KEY_FILE_BYTES_MAX: Final = 4096
MODE: Final = 0o600

app = typer.Typer(help="Make and show the keys that a log signs with.", no_args_is_help=True, rich_markup_mode=None)

KeyFile = Annotated[Path, typer.Argument(help="The file of the secret key.", metavar="FILE")]


@app.command()
def new(
    file: KeyFile,
    name: Annotated[
        str,
        typer.Option(
            "--name",
            help="The log's origin: its URL without the scheme and without a last slash, such as log.example/deepnode.",
            metavar="ORIGIN",
        ),
    ],
) -> None:
    """Make a new key in a file that is not there yet, and print its verifier key, which is for everybody."""
    typer.echo(str(make_key(file, name).verifier))


@app.command()
def show(file: KeyFile) -> None:
    """Print the verifier key of a secret key: by it everybody can check what the log signs."""
    typer.echo(str(load_signer(file).verifier))


def make_key(file: Path, name: str) -> Signer:
    """Make a new key in a file that is not there yet.

    Raises:
        BadInput: the name is none for a key, or the file is there or cannot be written.
    """
    signer = Signer.generate(name)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    except FileExistsError as error:
        raise BadInput(f"{file} is there already, and a key is never overwritten: choose another file") from error
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as written:
        # Less than the umask leaves, whatever it is.
        os.fchmod(descriptor, MODE)
        written.write(signer.secret_text() + "\n")
        written.flush()
        os.fsync(descriptor)
    return signer


def load_signer(file: Path) -> Signer:
    """Read a secret key.

    Raises:
        BadInput: the file cannot be read, or holds no key. The message holds nothing of what it holds.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(KEY_FILE_BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        raise BadInput(f"the key file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise BadInput(f"the key file {file} holds no text, so no key") from None
    try:
        return Signer.parse(text.strip())
    except BadInput as error:
        raise BadInput(f"the key file {file} holds no key: {error}") from None
