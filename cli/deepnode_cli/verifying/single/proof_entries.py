"""The entries of a proof: in the signed tree, of the deployment's contracts, and what they say."""

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from deepnode_cli.proving.leaf_reading import entry_of
from deepnode_cli.verifying.single.broken import Broken, require
from deepnode_ledger import vocabulary
from deepnode_ledger.abi import EventAbi, Undecodable
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import ChainLog
from deepnode_ledger.statement import Statement, read
from deepnode_ledger.statement_data import Data
from deepnode_ledger.transparency import (
    NotProven,
    NotSigned,
    TreeHead,
    Verifier,
    leaf_hash,
    open_checkpoint,
    parse_head,
    verify_inclusion,
)
from deepnode_ledger.transparency.line import hash_from_base64
from deepnode_ledger.transparency.note import parse


@dataclass(frozen=True, slots=True)
class Said:
    """What an entry of a chain says: its event's name, and its arguments."""

    name: str
    args: Mapping[str, Any]


@dataclass(slots=True)
class Entries:
    """The entries of a proof by their positions, and the tree that they are in."""

    head: TreeHead
    said: dict[int, Said | Data] = field(default_factory=dict)

    def event(self, position: object, *names: str) -> Mapping[str, Any]:
        """Return the arguments of the event at a position, which must be one of some names."""
        found = self.said.get(position) if type(position) is int else None
        where = f"position {position!a:.40}"
        require(isinstance(found, Said) and found.name in names, where, f"the proof needs {' or '.join(names)} there")
        assert isinstance(found, Said)
        return {**found.args, "": found.name}

    def task(self, position: object, kind: type[Any]) -> Any:
        """Return the data of the task event at a position, which must be of a type."""
        found = self.said.get(position) if type(position) is int else None
        require(isinstance(found, kind), f"position {position!a:.40}", f"the proof needs a {kind.__name__} there")
        return found


def read_entries(proof: Mapping[str, Any], verifiers: Collection[Verifier]) -> Entries:
    """Check the checkpoint, and every entry's way to its root.

    Without a key the tree is as the file says it: whoever calls this says so.

    Raises:
        Broken: a step does not hold. KeyError, TypeError, ValueError: the file has not the shape of a proof.
    """
    try:
        note = proof["checkpoint"]
        head = open_checkpoint(note, verifiers).head if verifiers else parse_head(parse(note).text)
    except (BadInput, NotSigned) as error:
        raise Broken("checkpoint", f"the checkpoint: {error}") from error
    by_topic = {
        (event.topic0, event.topics_count): (kind, event) for kind, known in vocabulary.KINDS.items() for event in known
    }
    emitters: dict[str, set[str]] = {}
    for each in proof["contracts"]:
        emitters.setdefault(each["signature"], set()).update(each["addresses"])
    hashes = [hash_from_base64(each, what="a hash") for each in proof["hashes"]]
    entries = Entries(head)
    for each in proof["events"]:
        position = each["position"]
        where = f"position {position!a:.40}"
        try:
            leaf = base64.b64decode(each["entry"], validate=True)
            logged = entry_of(leaf)
            way = [hashes[place] for place in each["path"]]
            verify_inclusion(leaf_hash(leaf), logged.position - 1, head.size, head.root, way)
        except (BadInput, NotProven, binascii.Error, IndexError) as error:
            raise Broken(where, f"the entry is not shown to be in the log: {error}") from error
        require(logged.position == position, where, f"the entry is that of position {logged.position}")
        require(position not in entries.said, where, "the entry is there twice")
        require(logged.chain_id == proof["chain"], where, f"the entry is of chain {logged.chain_id}")
        if isinstance(logged.record, ChainLog):
            key = (logged.record.topics[0] if logged.record.topics else b"", len(logged.record.topics))
            require(key in by_topic, where, "the entry is no event that the books know")
            kind, event = by_topic[key]
            address = to_hex(logged.record.address)
            require(address in emitters.get(event.signature, ()), where, f"{address} is no {kind} of the proof")
            entries.said[position] = Said(event.name, _args(event, logged.record, where))
        else:
            told = read(logged.record)
            require(isinstance(told, Statement), where, f"the task event cannot be read: {told}")
            assert isinstance(told, Statement)
            entries.said[position] = told.data
    return entries


def _args(event: EventAbi, log: ChainLog, where: str) -> Mapping[str, Any]:
    try:
        return event.decode(log.topics, log.data)
    except Undecodable as error:
        raise Broken(where, f"the event cannot be read: {error}") from error
