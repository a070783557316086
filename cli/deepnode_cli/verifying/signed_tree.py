"""The stage ``checkpoint``: the log has signed a tree, and the tree of the bundle's entries is its beginning.

Three things bind the entries to whoever signed: the note opens with a key that the auditor trusts; the consistency
proof leads from the bundle's root to the signed one; and the stage ``entries`` makes the bundle's root of the entries.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from deepnode_cli.verifying.finding import Examination, Finding, Severity
from deepnode_ledger.bundle import Bundle
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.transparency import Verifier, open_checkpoint, time_of, verify_consistency
from deepnode_ledger.transparency.checkpoint import Checkpoint

STAGE: Final = "checkpoint"
NOTE: Final = "checkpoint"
KEY: Final = "checkpoint.key"
PROOF: Final = "consistency.json"


def signed_tree(examination: Examination) -> Iterator[Finding]:
    """Open the checkpoint, and prove that the bundle's tree is the beginning of the signed one."""
    bundle, brought = examination.bundle, examination.brought
    if bundle.contents.checkpoint_size is None:
        severity = Severity.ERROR if brought.verifiers else Severity.WARNING
        said = "the bundle has no checkpoint: nobody has signed its entries, and nothing says that all see the same log"
        yield Finding(severity, STAGE, "bundle.json", said)
        return
    yield from _of_key(bundle, brought.verifiers)
    try:
        keys = list(brought.verifiers) or [Verifier.parse(bundle.checkpoint_key())]
        opened = open_checkpoint(bundle.checkpoint(), keys, brought.witnesses)
    except BadInput as error:
        yield Finding(Severity.ERROR, STAGE, NOTE, f"it does not open with the key that is trusted: {error}")
        return
    examination.count("signatures", len(opened.log_signatures) + len(opened.cosignatures))
    yield from _of_witnesses(opened, len(brought.witnesses), brought.quorum)
    yield from _of_tree(bundle, opened)


def _of_key(bundle: Bundle, trusted: Sequence[Verifier]) -> Iterator[Finding]:
    """Compare the key that the bundle names with those that the auditor brought."""
    try:
        named = bundle.checkpoint_key()
        Verifier.parse(named)
    except BadInput as error:
        yield Finding(Severity.ERROR, STAGE, KEY, f"it is no verifier key: {error}")
        return
    if not trusted:
        yield Finding(
            Severity.WARNING,
            STAGE,
            KEY,
            f"no key was brought: the bundle is measured by the one that it names itself, {named}. Anybody can make "
            "such a bundle; pass the log's key as it is published elsewhere with --verifier",
        )
    elif named not in map(str, trusted):
        # A bundle is made with the key that its checkpoint is signed with.
        yield Finding(Severity.ERROR, STAGE, KEY, f"the bundle names {named}, which is not the key that is trusted")


def _of_witnesses(opened: Checkpoint, witnesses: int, quorum: int) -> Iterator[Finding]:
    for cosigned in opened.cosignatures:
        said = f"{cosigned.name} cosigned {opened.head.size} entries at {time_of(cosigned)} (seconds since 1970)"
        yield Finding(Severity.NOTE, STAGE, NOTE, said, integers={"cosigned_at": time_of(cosigned)})
    found = len(opened.cosignatures)
    if found < quorum:
        said = f"{found} of the trusted witnesses have cosigned it, of {quorum} at least"
        yield Finding(Severity.ERROR, STAGE, NOTE, said, integers={"cosigned": found, "quorum": quorum})
    elif found < witnesses:
        said = f"{found} of {witnesses} trusted witnesses have cosigned it"
        yield Finding(Severity.WARNING, STAGE, NOTE, said, integers={"cosigned": found, "witnesses": witnesses})


def _of_tree(bundle: Bundle, opened: Checkpoint) -> Iterator[Finding]:
    contents, head = bundle.contents, opened.head
    if head.size != contents.checkpoint_size:
        sizes = {"signed": head.size, "bundle.json": contents.checkpoint_size or 0}
        said = f"it is of {head.size} entries, bundle.json says {contents.checkpoint_size}"
        yield Finding(Severity.ERROR, STAGE, NOTE, said, integers=sizes)
    root = bytes.fromhex(contents.root[2:])
    try:
        proof = bundle.consistency()
        verify_consistency(contents.entries, root, head.size, head.root, proof.hashes)
    except BadInput as error:
        # The proof is the bundle's, the signed tree is not: which of the two others is wrong, the entries say.
        yield Finding(
            Severity.ERROR,
            STAGE,
            PROOF,
            f"the tree of the bundle's {contents.entries} entries, of root {contents.root}, is not shown to be the "
            f"beginning of the signed one of {head.size} entries, of root {to_hex(head.root)}: {error}",
            integers={"entries": contents.entries, "signed": head.size},
        )
