"""Maps: which number of the state each of a batch's own numbers stands for."""

from typing import NamedTuple

from deepnode_projections.kernel.decoded import Cells


class Maps(NamedTuple):
    """A batch's numbers in those of the state.

    ``ids``, ``names`` and ``accounts`` have the numbers of the batch's ids (words), names (texts) and holders
    (accounts). Its hashes and events were entered in their order: ``bases`` has the number of the first of each, so
    that hash ``n`` is word ``bases[0] + n`` and event ``n`` is text ``bases[1] + n``.
    """

    ids: Cells
    names: Cells
    accounts: Cells
    bases: Cells
