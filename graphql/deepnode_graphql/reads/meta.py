"""Reading what a response is of: the books' place in the log and on the chain, and what they were made with."""

from functools import cache
from importlib.metadata import version

import strawberry

from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Block, Finality, Info, block_of, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.scalars import Hex, Long


@strawberry.type
class ManifestInfo:
    """The manifest that the books were made with.

    Attributes:
        name: the name of the deployment.
        version: the version of the file.
        digest: SHA-256 over everything in it that decides what the books make of a log.
    """

    name: str
    version: int
    digest: Hex


@strawberry.type
class Meta:
    """What a response is of.

    Attributes:
        position: the last log entry that is in it.
        sealed_position: entries up to here never change again.
        block: the newest block that it knows: without `at` the last block covered, else the last that has log entries.
        finalized_block: the newest block known to be final.
        finality: whether a reorg can still change this state.
        chain_id: which chain.
        reorgs: how many reorgs the books have followed.
        manifest: what the books were made with.
        code_version: the version of this program.
    """

    moment: strawberry.Private[Moment]
    position: Long
    sealed_position: Long
    block: Block | None
    finalized_block: Block | None
    finality: Finality
    chain_id: Long
    reorgs: Long
    manifest: ManifestInfo
    code_version: str

    @strawberry.field
    def state_root(self, info: Info) -> Hex:
        """One hash over all balances and records of this state (32 bytes): equal books have equal roots."""
        return Hex(info.context.root(self.moment))


def read_meta(reading: Reading, moment: Moment) -> Meta:
    """Describe the state at a moment."""
    manifest = reading.manifest
    return Meta(
        moment=moment,
        position=Long(moment.position),
        sealed_position=Long(min(reading.checkpoint.sealed_position, moment.position)),
        block=block_of(moment.block),
        finalized_block=block_of(reading.checkpoint.finalized),
        finality=finality(sealed=moment.final),
        chain_id=Long(manifest.chain_id),
        reorgs=Long(reading.checkpoint.reorg_number),
        manifest=ManifestInfo(name=manifest.name, version=manifest.version, digest=Hex(manifest.digest)),
        code_version=code_version(),
    )


@cache
def code_version() -> str:
    """Return the version of this program as it is installed."""
    return version("deepnode-ledger")
