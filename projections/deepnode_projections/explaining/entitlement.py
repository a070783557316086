"""What an earner is entitled to altogether: the sum over epochs, its leaf in the claim tree, the root, the payments."""

from collections.abc import Sequence

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining.explanation import Asset, Cell, Explanation, Step, Table, counted, places
from deepnode_projections.explaining.past import Past
from deepnode_projections.maths.claims import ClaimTree, Entitlement
from deepnode_projections.rules.claims import ExpectedRoot, claim_tree
from deepnode_projections.rules.emission import ClaimedTotal, Root
from deepnode_projections.rules.pools import Earned


def entitlement(past: Past, asset: Asset, epoch: int, earner: bytes) -> Explanation:
    """Explain what an earner is entitled to up to an epoch (included), and what of it was paid."""
    earned = [each for each in past.every(Earned, asset.address, earner) if each.epoch <= epoch]
    cumulative = sum(each.amount for each in earned)
    rows: tuple[tuple[Cell, ...], ...] = tuple((each.epoch, each.amount) for each in earned)
    counted_at = [past.since(Earned, asset.address, earner, each.epoch) for each in earned]
    total = Step(
        "All epochs together",
        (f"Entitlements are cumulative: a missed epoch loses nothing. Up to epoch {epoch} it is {cumulative}.",),
        (f"{' + '.join(str(each.amount) for each in earned)} = {cumulative}",),
        Table(("epoch", "base units"), rows),
        ("DESIGN section 6, Facts and expectations",),
        (),
        places(*counted_at),
    )
    steps = (total, _leaf(past, asset, epoch, earner), _claims(past, asset, earner))
    title = f"Entitlement of {to_hex(earner)} up to epoch {epoch}: {asset.amount(cumulative)}"
    return Explanation(title, past.position, cumulative, asset, steps)


def _leaf(past: Past, asset: Asset, epoch: int, earner: bytes) -> Step:
    """Say where the entitlement is in the tree of its epoch, and whether the chain's root is that tree's."""
    submitted = past.since(ExpectedRoot, epoch, asset.address)
    tree = claim_tree(past if submitted is None else past.at(submitted), asset.address, epoch)
    own = next((each for each in tree.entitlements if each.earner == earner), None)
    seeds = ("DESIGN section 6, Facts and expectations",)
    if own is None:
        none = "The tree of that epoch holds nothing for this earner."
        return Step("The claim tree", (none,), seeds=seeds, positions=places(submitted))
    said = [
        (
            f"The tree of epoch {epoch} has {counted(len(tree.entitlements), 'earner')}, who are entitled to "
            f"{tree.total} together. A leaf is keccak256(keccak256(earner, asset, cumulative)), each 32 bytes."
        ),
        f"The leaf is {to_hex(own.leaf)}. The root that the rules give is {to_hex(tree.root)}.",
    ]
    histories = past.changes(Root, epoch, asset.address)
    said += _told(histories, tree) if histories else ["The chain has no root of this epoch and asset yet."]
    root = past.get(Root, epoch, asset.address)
    return Step(
        "The claim tree",
        tuple(said),
        (),
        _proof(tree, own),
        seeds,
        (),
        places(submitted, *(position for position, _ in histories)),
        root is None or root.disabled_reason is not None or root.root == tree.root,
    )


def _told(histories: Sequence[tuple[int, Root]], tree: ClaimTree) -> list[str]:
    said = []
    for position, root in histories:
        if root.disabled_reason is not None:
            said.append(f"That root was disabled at position {position}: {_reason(root.disabled_reason)}.")
        elif root.root == tree.root:
            said.append(f"The chain's root, submitted at position {position}, is the same: the proof below holds.")
        else:
            said.append(
                f"The chain's root, submitted at position {position}, is another: {to_hex(root.root)}. The proof below "
                "does not lead to it."
            )
    return said


def _reason(word: bytes) -> str:
    """Write a reason (32 bytes) as the text that it is, or as digits if it is none."""
    text = word.rstrip(b"\0")
    return repr(text.decode("ascii")) if text.isascii() and text.decode("ascii").isprintable() else to_hex(word)


def _proof(tree: ClaimTree, own: Entitlement) -> Table:
    proof = tree.proof(own)
    rows: list[tuple[Cell, ...]] = [(0, "leaf", to_hex(own.leaf))]
    rows += [(number, "sibling", to_hex(each)) for number, each in enumerate(proof, 1)]
    rows.append((len(proof) + 1, "root", to_hex(tree.root)))
    return Table(("step", "what", "hash"), tuple(rows))


def _claims(past: Past, asset: Asset, earner: bytes) -> Step:
    """Say what was paid, and when."""
    before, rows = 0, list[tuple[Cell, ...]]()
    for position, each in past.changes(ClaimedTotal, earner, asset.address):
        rows.append((position, each.amount - before, each.amount))
        before = each.amount
    earned = sum(each.amount for each in past.every(Earned, asset.address, earner))
    if not rows:
        said = f"Nothing was claimed by position {past.position}; {asset.amount(earned)} are earned in all epochs."
        return Step("Claims", (said,), seeds=("DESIGN section 6",))
    said = (
        f"By position {past.position}, {asset.amount(before)} were claimed in {counted(len(rows), 'payment')}. "
        f"All epochs that are divided by then come to {earned}, so {earned - before} are not paid yet."
    )
    return Step(
        "Claims",
        (said,),
        (f"{earned} - {before} = {earned - before}",),
        Table(("paid at", "paid", "paid in all"), tuple(rows)),
        ("DESIGN section 6",),
        (),
        places(*(row[0] for row in rows if isinstance(row[0], int))),
        before <= earned,
    )
