"""Entity tags: what an answer was made of, so that who has it already need not get it again.

Equal tags mean equal answers: a tag is a hash over the document, its variables, the program and manifest, and the state
of the books that the answer is of. If everything in it is of moments that no reorg can change any more, the state does
not matter, and the answer is the same for as long as the program is.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from deepnode_graphql.moments import At
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.meta import code_version
from deepnode_graphql.scalars import Long
from deepnode_ledger.errors import BadInput

TOLD_OF_THE_PRESENT: Final = frozenset({"_meta", "explain", "explanation"})
"""Fields that also tell of the books' end, whatever moment they are asked at."""


@dataclass(frozen=True, slots=True)
class Tag:
    """The tag of an answer (hexadecimal digits), and whether the answer is final."""

    value: str
    is_final: bool


def tag_of(
    reading: Reading,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    query: str,
    variables: Mapping[str, Any] | None,
) -> Tag:
    """Make the tag of what an operation is answered with in a reading.

    Args:
        reading: what the answer is read in.
        document: the query, parsed and validated.
        operation: the one of the document that is executed.
        query: the document's text.
        variables: as they came.
    """
    is_final = _is_final(reading, document, operation, variables or {})
    checkpoint = reading.checkpoint
    made_of = [
        hashlib.sha256(query.encode()).hexdigest(),
        operation.name.value if operation.name else None,
        variables or None,
        code_version(),
        reading.manifest.chain_id,
        reading.manifest.digest.hex(),
        "final"
        if is_final
        else [
            checkpoint.position,
            checkpoint.sealed_position,
            checkpoint.reorg_number,
            checkpoint.tip and [checkpoint.tip.number, checkpoint.tip.hash.hex()],
            checkpoint.finalized and [checkpoint.finalized.number, checkpoint.finalized.hash.hex()],
        ],
    ]
    content = orjson.dumps(made_of, option=orjson.OPT_SORT_KEYS)
    return Tag(hashlib.sha256(content).hexdigest()[:40], is_final)


def _is_final(
    reading: Reading, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> bool:
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    if any(_tells_of_the_present(each.selection_set) for each in (operation, *fragments.values())):
        return False
    for root in _fields(operation.selection_set, fragments, set()):
        if root.name.value.startswith("__"):
            continue
        at = next((each.value for each in root.arguments or () if each.name.value == "at"), None)
        moment = None if at is None else _moment(at, variables)
        try:
            if moment is None or not reading.moment(moment).final:
                return False
        except BadInput:
            return False
    return True


def _moment(value: ValueNode, variables: Mapping[str, Any]) -> At | None:
    """Read the argument ``at``; None if it is not plainly one moment."""
    found: dict[str, Any] = {}
    if isinstance(value, VariableNode):
        given = variables.get(value.name.value)
        found = given if isinstance(given, dict) else {}
    elif isinstance(value, ObjectValueNode):
        for each in value.fields:
            if isinstance(each.value, IntValueNode):
                found[each.name.value] = int(each.value.value[:17])
            elif isinstance(each.value, VariableNode):
                found[each.name.value] = variables.get(each.value.name.value)
    if len(found) != 1 or any(type(each) is not int for each in found.values()):
        return None
    return At(**{name: Long(number) for name, number in found.items()})


def _fields(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], seen: set[str]
) -> Iterator[FieldNode]:
    for each in selections.selections:
        if isinstance(each, FieldNode):
            yield each
        elif isinstance(each, InlineFragmentNode):
            yield from _fields(each.selection_set, fragments, seen)
        elif isinstance(each, FragmentSpreadNode) and each.name.value not in seen:
            seen.add(each.name.value)
            yield from _fields(fragments[each.name.value].selection_set, fragments, seen)


def _tells_of_the_present(selections: SelectionSetNode) -> bool:
    waiting = [selections]
    while waiting:
        for each in waiting.pop().selections:
            if isinstance(each, FieldNode) and each.name.value in TOLD_OF_THE_PRESENT:
                return True
            if isinstance(each, FieldNode | InlineFragmentNode) and each.selection_set is not None:
                waiting.append(each.selection_set)
    return False
