"""Claims: the root that pays, against the tree that the rules give, and what each earner has claimed.

The newest root that is not disabled is compared, activated or not, so that a wrong one is found before it pays.
"""

from collections.abc import Iterator

from deepnode_cli.reconciling.figures import Figure, question
from deepnode_cli.reconciling.reading import Reading
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules.claims import claim_tree
from deepnode_projections.rules.emission import ClaimedTotal, RootInForce
from deepnode_projections.rules.pools import Earned

_NEWEST = "newestOf(address)"
_CLAIMED = "claimedOf(address,address)"


def claims(reading: Reading) -> Iterator[Figure]:
    """Yield the figures of roots and claims, token by token.

    A root is compared twice: the one that the books were told of, and the one of the rules' own tree.
    """
    past, findings = reading.past, reading.findings
    contracts = reading.contracts_of("Rewards")
    if len(contracts) > 1:
        findings.not_asked.append("claims: the books count those of several contracts of rewards together")
        return
    for name, address in contracts.items():
        views = reading.declared_of(name).views
        missing = [each for each in (_NEWEST, _CLAIMED) if each not in views]
        findings.not_asked += [f"{name}.{each}: the manifest's ABI has no such view" for each in missing]
        for token, symbol in reading.tokens.items():
            if _NEWEST in views:
                newest = views[_NEWEST]
                standing = past.get(RootInForce, token) or RootInForce(token, None, None, 0, 0)
                tree = claim_tree(past, token, standing.epoch or 0)
                told = standing.root or bytes(32)
                root, total, epoch = (question(address, newest, token, output=o) for o in ("root", "total", "epoch"))
                at = f"of epoch {standing.epoch or 'none'}"
                yield Figure("roots", f"epoch of the {symbol} root in force", "", standing.epoch or 0, (epoch,))
                yield Figure(
                    "roots", f"{symbol} root {at} as submitted", "", int.from_bytes(told), (root,), is_word=True
                )
                yield Figure("roots", f"total {at} as submitted", symbol, standing.total, (total,))
                if standing.epoch is not None:
                    ours = int.from_bytes(tree.root)
                    yield Figure("roots", f"{symbol} root {at} by the rules", "", ours, (root,), is_word=True)
                    yield Figure("roots", f"total {at} by the rules", symbol, tree.total, (total,))
            if _CLAIMED in views:
                claimed = {each.earner: each.amount for each in past.every(ClaimedTotal) if each.asset == token}
                earners = claimed.keys() | {each.earner for each in past.every(Earned, token)}
                for earner in sorted(earners):
                    asked = question(address, views[_CLAIMED], earner, token)
                    yield Figure("claims", f"earner {to_hex(earner)}", symbol, claimed.get(earner, 0), (asked,))
