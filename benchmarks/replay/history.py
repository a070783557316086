"""The replay's history: sixty of a hundred entries are task events, the rest logs of twelve contracts, from a seed.

A block's logs come first, then what producers told behind it. Transfers fill up what payments, stakes and epochs leave
of the logs, among wallets of which a few move most. What contracts say of splits, allocations, roots and claims is what
the rules give: small books go along, which hear of everything but transfers, payments and tasks, and are given what an
epoch's tasks came to before the next one is opened.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from random import Random
from typing import Final

import pyarrow as pa
from benchmarks.marketplace import CHAIN_ID, EMISSION, FIRST_BLOCK, address_of, block_ref, word
from benchmarks.replay.changes import TOKENS, Said, changes, founding
from benchmarks.replay.columns import Columns
from benchmarks.replay.deployment import Crowd, LogRow, Payments, Sizes, by_zipf, log_of
from benchmarks.replay.tasks import TYPES, Asked, Meant, Workshop

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import ChainLog
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections import rulesets
from deepnode_projections.maths.carry import split_by
from deepnode_projections.maths.pools import pool_legs
from deepnode_projections.maths.rates import Rates
from deepnode_projections.replay import Replay
from deepnode_projections.rules.claims import claim_tree
from deepnode_projections.rules.domains import Route, weights_at
from deepnode_projections.rules.pools import Earners
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.scene import Scene
from deepnode_projections.rules.splits import rates_of
from deepnode_projections.rulesets.ruleset import Weights

TASK_SHARE: Final = (3, 5)
"""Of five entries three are task events."""

CLAIMS: Final = 50
"""Earners who claim in an epoch."""

MINTED: Final = 10**27
"""What is minted to a wallet before it gives something for the first time: more than it will ever give."""

_PARTS: Final = ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed")
_KEPT: Final = ("undistributed",)
_NOBODY: Final = bytes(32)


class History:
    """A history that is made once, by ``batches``. ``meant`` counts what is to be refused and to differ in it."""

    def __init__(self, manifest: Manifest, sizes: Sizes, seed: int = 1) -> None:
        self._manifest, self._sizes = manifest, sizes
        self._rules = rulesets.default()
        self._crowd = Crowd(sizes)
        self._write = Payments()
        self._books = Replay(manifest)
        self._workshop = Workshop(self._crowd, sizes, self._rules, self._write.tokens, seed)
        self._columns = Columns(TYPES)
        self._chance = Random(seed)
        self._wallets = by_zipf(len(self._crowd.wallets), seed)
        self._minted: set[tuple[int, int]] = set()
        self._carries: dict[tuple[bytes, int, bytes], Sequence[int]] = {}
        self._claimed: defaultdict[bytes, int] = defaultdict(int)
        self._steps: defaultdict[int, list[Iterator[int]]] = defaultdict(list)
        self._changes = changes(self._crowd, self._books.state, self._workshop.collateral)
        self._epoch = self._changed = self._logs = self._events = 0
        self._block = FIRST_BLOCK

    @property
    def meant(self) -> Meant:
        """What the history means to be refused and to differ, as far as it was made."""
        return self._workshop.meant

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Make the history, in batches of the length that the log stores."""
        entries = self._sizes.entries
        while self._columns.position < entries:
            transactions = self._announced()
            self._work()
            told, self._workshop.told = self._workshop.told, []
            self._events += len(told)
            self._logs += sum(map(len, transactions))
            transactions += self._paid()
            self._columns.add(self._block, transactions, told)
            self._block += 1
            if self._columns.position < entries:
                yield from self._columns.full()
        yield from self._columns.last(entries)

    def _announced(self) -> list[list[LogRow]]:
        """Let contracts announce what is due at the block's beginning: an epoch, or a rare change."""
        found, position = list[list[LogRow]](), self._columns.position
        if self._block == FIRST_BLOCK:
            found += self._say(*founding(self._crowd, self._workshop.collateral))
        if position >= self._epoch * self._sizes.entries // self._sizes.epochs:
            found += self._open()
        due = position * self._sizes.epochs * self._sizes.changes // self._sizes.entries
        while self._changed < due:
            self._changed += 1
            found += self._say(next(self._changes))
        return found

    def _work(self) -> None:
        """Let new tasks begin with the block, and go on with those that are under way."""
        self._workshop.block_hash = to_hex(block_ref(self._block).hash)
        new = [self._workshop.life() for _ in range(self._sizes.block_tasks)]
        for life in (*self._steps.pop(self._block, ()), *new):
            pause = next(life, None)
            if pause is not None:
                self._steps[self._block + pause].append(life)

    def _paid(self) -> list[list[LogRow]]:
        """Have the block's new tasks paid for, and fill the block up with transfers, in any order."""
        asked, self._workshop.asked = self._workshop.asked, []
        least = 3 * len(asked)
        wanted = self._events * (TASK_SHARE[1] - TASK_SHARE[0]) // TASK_SHARE[0] - self._logs - least
        turns = [True] * len(asked) + [False] * max(0, wanted)
        self._chance.shuffle(turns)
        tasks, found = iter(asked), list[list[LogRow]]()
        for is_paid in turns:
            if is_paid:
                found.append(self._pay(next(tasks)))
            elif found and len(found[-1]) < 3 and self._chance.random() < 0.5:
                found[-1] += self._transfer()
            else:
                found.append(self._transfer())
        self._logs += sum(map(len, found))
        return found

    def _transfer(self) -> list[LogRow]:
        token, giver, taker = int(self._chance.random() < 0.5), next(self._wallets), next(self._wallets)
        mint = self._mint(token, giver)
        if mint:
            return mint
        if taker == giver:
            taker = (giver + 1) % len(self._crowd.wallets)
        wide = self._chance.random() < 0.01
        amount = 1 + self._chance.getrandbits(70 if wide else 40)
        return [self._write.transfer(self._write.tokens[token], self._who(giver), self._who(taker), amount)]

    def _mint(self, token: int, wallet: int) -> list[LogRow]:
        """Give a wallet what it can spend, unless it has something already."""
        if (token, wallet) in self._minted:
            return []
        self._minted.add((token, wallet))
        return [self._write.transfer(self._write.tokens[token], _NOBODY, self._who(wallet), MINTED)]

    def _who(self, wallet: int) -> bytes:
        return bytes(12) + self._crowd.wallets[wallet]

    def _pay(self, task: Asked) -> list[LogRow]:
        """Have a task paid for, and the payment split."""
        write, wallet = self._write, next(self._wallets)
        token, payer = write.tokens[task.token], self._who(wallet)
        route = self._books.state.get(Route, self._crowd.domains[task.domain], token)
        model = self._books.state.get(Model, task.model)
        assert route is not None
        assert model is not None
        key = (task.model, route.version, token)
        before = self._carries.get(key, [0] * len(LEGS))
        made = split_by(self._rules.revenue.rounding, task.price, _rates(model, route), before)
        self._carries[key] = made.carries
        receipt = word("receipt", task.number)
        received = write.received(receipt, task.model, payer, token, task.price, task.id)
        found = [*self._mint(task.token, wallet), write.transfer(token, payer, write.router, task.price), received]
        found.append(write.split(receipt, task.model, token, task.price, made.legs, self._rules.spec_hash))
        if self._workshop.is_odd(task, 19):
            self.meant.refusals += 1
            found.append(received)
        return found

    def _say(self, *transactions: Sequence[Said]) -> list[list[LogRow]]:
        """Let contracts say something, transaction by transaction; the small books hear of it."""
        said = [each for transaction in transactions for each in transaction]
        logs = [log_of(*each) for each in said]
        heard = [log for (name, _, _), log in zip(said, logs, strict=True) if name not in TOKENS]
        block, first = block_ref(self._block), self._books.position + 1
        rows = []
        for n, (address, topic0, *topics, data) in enumerate(heard):
            there = (topic0, *(each for each in topics if each is not None))
            log = ChainLog(word("transaction", first), 0, n, address, there, data)
            rows.append(row_of(first + n, CHAIN_ID, block, log))
        if rows:
            fed = self._books.feed(from_rows(rows))
            assert not fed.refused, fed.refused[0]
            assert not fed.quarantined, fed.quarantined[0]
        rest = iter(logs)
        return [list(islice(rest, len(transaction))) for transaction in transactions]

    def _open(self) -> list[list[LogRow]]:
        """Open the next epoch, and distribute what was emitted for the one that is over."""
        over, self._epoch = self._epoch, self._epoch + 1
        state, asset = self._books.state, self._write.tokens[0]
        for record in self._workshop.close(over) if over else ():
            state.put(record)
        found = self._say([("Emission", "EpochOpened", {"epoch": self._epoch, "startBlock": self._block})])
        if not over:
            return found
        pools = {domain: self._pool(over, domain) for domain in self._crowd.domains}
        total, kept = (sum(sum(pool[part] for part in parts) for pool in pools.values()) for parts in (_PARTS, _KEPT))
        paid = {"from": address_of("Emission"), "to": address_of("Rewards"), "value": total - kept}
        minted: list[Said] = [
            ("DNToken", "Transfer", {"from": bytes(20), "to": address_of("Emission"), "value": total}),
            ("Emission", "EmissionMinted", {"epoch": over, "amount": total, "fromRevenue": 0}),
        ]
        allocated: list[list[Said]] = [
            [("Emission", "EpochAllocated", {"epoch": over, "domain": domain, "asset": asset, **pool})]
            for domain, pool in pools.items()
        ]
        found += self._say(minted, *allocated, [("DNToken", "Transfer", paid)])
        return [*found, *self._submit(over, asset)]

    def _pool(self, over: int, domain: bytes) -> dict[str, int]:
        """Divide a domain's part of an epoch's emission over the legs, as the rules do."""
        state, rules = self._books.state, self._rules
        weights = weights_at(state, domain, over)
        assert weights is not None
        scene = Scene(state, self._manifest, self._books.position, CHAIN_ID, self._block, 0)
        earned = Earners(scene, rules, over, domain, self._write.tokens[0]).earned
        of_leg = Weights(**{leg: getattr(weights, leg) for leg in Weights.__struct_fields__})
        legs = pool_legs(rules.emission, EMISSION // len(self._crowd.domains), of_leg, earned)
        return {part: getattr(legs, part) for part in _PARTS}

    def _submit(self, over: int, asset: bytes) -> list[list[LogRow]]:
        """Submit the root of all claims, and let some who have earned something claim it."""
        tree = claim_tree(self._books.state, asset, over)
        root = {"epoch": over, "root": tree.root, "asset": asset, "total": tree.total, "endBlock": self._block - 1}
        rest = {"uri": f"ipfs://{over}", "ruleset": self._rules.spec_hash, "activatesAt": 0}
        said: list[list[Said]] = [[("Rewards", "RootSubmitted", {**root, **rest})]]
        for each in self._chance.sample(tree.entitlements, min(CLAIMS, len(tree.entitlements))):
            amount = each.cumulative - self._claimed[each.earner]
            if amount:
                self._claimed[each.earner] = each.cumulative
                claim = {"epoch": over, "earner": each.earner, "asset": asset, "to": each.earner, "amount": amount}
                paid = {"from": address_of("Rewards"), "to": each.earner, "value": amount}
                said.append([("Rewards", "Claimed", claim), ("DNToken", "Transfer", paid)])
        return self._say(*said)


@cache
def _rates(model: Model, route: Route) -> Rates:
    return rates_of(rulesets.default(), model, route)
