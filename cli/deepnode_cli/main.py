"""``deepnode``: the command line, and the only place that reads settings and wires the rooms together.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a verification failed. A failure is one message on stderr that says what
to do: try again, or mend a value that it names. Anything else is a bug of ours and shows its trace.
"""

import gc
import sys
from typing import Final, NoReturn

from rich.console import Console

from deepnode_cli.commands import command_line
from deepnode_cli.process_tree import ProcessTreeError, die_with_parent
from deepnode_ledger.errors import DeepNodeError, TryAgain

EXIT_FAILED = 1
RECURSION_MAX = 1_000

GARBAGE_OBJECTS: Final = 50_000
"""Objects made between two looks for cycles that nobody needs. With the usual 700, a program that loads many modules
and then makes lists of many logs looks through them over and over."""


def app_main() -> NoReturn:
    """Run the command line and exit with its code."""
    die_with_parent()
    gc.set_threshold(GARBAGE_OBJECTS)
    # A library for signing (py_ecc) raises Python's limit a hundredfold when it is imported. With that, a text that
    # nests without end would end the process instead of raising an error: back to the default.
    sys.setrecursionlimit(RECURSION_MAX)
    error_console = Console(stderr=True, soft_wrap=True)
    try:
        command_line(sys.argv[1] if len(sys.argv) > 1 else None)()
    except TryAgain as error:
        error_console.print(f"deepnode: {error}", style="red", markup=False, highlight=False)
        error_console.print("Nothing was lost; the same command can be tried again.", markup=False, highlight=False)
    except (DeepNodeError, ProcessTreeError) as error:
        error_console.print(f"deepnode: {error}", style="red", markup=False, highlight=False)
    sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    app_main()
