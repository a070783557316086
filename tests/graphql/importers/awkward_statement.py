"""A statement that has everything an importer may stumble over, made by hand.

Run as a script, it writes the golden files anew; look at what changed before it is committed::

    python -m tests.graphql.importers.awkward_statement
"""

from pathlib import Path

from deepnode_graphql.statements.importers import IMPORTERS
from deepnode_graphql.statements.statement import Dates, FiatValue, Line, LineType, Statement, Token

GOLDEN = Path(__file__).parent / "golden"

DN = Token("DN", bytes.fromhex("d0" * 20), 18)
USDC = Token("USDC", bytes.fromhex("833589fcd6edb6e08f4c7c32d4f71b54bda02913"), 6)
WHOLE = Token("POINT", bytes.fromhex("0a" * 20), 0)
HOSTILE = Token('=HYPERLINK("http://127.0.0.1")', bytes.fromhex("ee" * 20), 18)
TOKENS = (DN, USDC, WHOLE, HOSTILE)

ADDRESS = bytes.fromhex("a1" * 20)
WALLET = "Wallet:0x" + "a1" * 20
COLLATERAL = "Collateral:0x" + "02" * 32
STAKE = "Stake:0x" + "01" * 32
CONSUMER = "Wallet:0x" + "c4" * 20

LAST_SECOND_OF_2027 = 1830297599
LEAP_DAY = 1835395200 + 86399

# Both signs, one wei, more than a double holds, the largest amounts, no fraction, and a fraction that ends in zeros.
AMOUNTS = (
    (DN, 1),
    (DN, -1),
    (DN, 10**37),
    (DN, -(10**37)),
    (DN, 123456789012345678901234567),
    (DN, -100000000000000000),
    (DN, 5 * 10**18),
    (USDC, 1),
    (USDC, -1),
    (USDC, 1_000_000),
    (USDC, -123_456_789_012),
    (USDC, 2_500_000),
    (WHOLE, 7),
    (WHOLE, -12345678901234567890),
)


def line(
    position: int, kind: LineType, amount: int, token: Token = DN, *, leg: int = 0, own: bool = False, **more: object
) -> Line:
    """A line with plain values where none are given."""
    fields: dict[str, object] = {
        "time": LAST_SECOND_OF_2027 + position,
        "block_number": 1000 + position,
        "transaction_hash": position.to_bytes(32, "big"),
        "log_index": leg,
        "event": "".join(word.capitalize() for word in kind.value.split()),
        "account": WALLET,
        "counterparty": CONSUMER,
        "balance": 0,
        "dates": None,
        "value": None,
        "note": "",
        **more,
    }
    # The fields that a caller gives are named and typed where they are read.
    return Line(position=position, leg=leg, type=kind, own=own, token=token, amount=amount, **fields)  # type: ignore[arg-type] # any field of a line


def move(position: int, kind: LineType, amount: int, source: str, target: str) -> list[Line]:
    """The two lines of a movement between own accounts."""
    return [
        line(position, kind, -amount, own=True, account=source, counterparty=target),
        line(position, kind, amount, leg=1, own=True, account=target, counterparty=source),
    ]


def statement_of(lines: list[Line], fiat: str = "USD") -> Statement:
    """A statement of these lines."""
    return Statement(
        address=ADDRESS,
        from_time=1798761600,
        to_time=1893456000,
        chain_id=8453,
        opening_position=0,
        position=10_000,
        known_position=10_000,
        block_number=20_000,
        block_hash=b"\x0b" * 32,
        finality="final",
        state_root=b"\x5a" * 32,
        manifest=b"\x3f" * 32,
        fiat=fiat,
        price_source="settlement",
        balances=(),
        lines=tuple(lines),
        rewards=(),
        accruals=(),
        remarks=(),
    )


def awkward_lines() -> list[Line]:
    """Each type with each sign and each amount in turn, then what is awkward in another way."""
    lines = []
    for place, kind in enumerate(LineType):
        for each in range(2):
            token, amount = AMOUNTS[(2 * place + each) % len(AMOUNTS)]
            lines.append(line(2 * place + each + 1, kind, amount, token))
    lines += [
        # A reward with its three dates and its value, and the same again in the same second: two movements.
        *(
            line(
                100,
                LineType.REWARD,
                10**18 + 1,
                leg=leg,
                event="Claimed",
                counterparty="Rewards:Payable",
                time=LEAP_DAY,
                dates=Dates(LEAP_DAY - 90_000, LEAP_DAY - 3_600, LEAP_DAY),
                value=FiatValue("USD", 1_234_567, "settlement", 77, 617_284),
            )
            for leg in (0, 1)
        ),
        line(
            101,
            LineType.REWARD,
            1,
            dates=Dates(None, None, LEAP_DAY),
            value=FiatValue("USD", 0, "settlement", 77, 617_284),
        ),
        line(102, LineType.PAYMENT, -(10**9), USDC, value=FiatValue("USD", -(10**9), "settlement", 78, 1_000_000)),
        line(103, LineType.SLASHING, -3 * 10**18, account=COLLATERAL, counterparty="Burn"),
        line(104, LineType.REFUND, 1_500_000, USDC, counterparty=""),
        line(105, LineType.OTHER, 0, note="moved nothing"),
        line(106, LineType.TRANSFER_IN, 4, HOSTILE, note='=1+1, "two"\r\nand\ta\x00half'),
        line(107, LineType.TRANSFER_IN, 5, event="-1", counterparty="@SUM(A1)"),
        *move(110, LineType.COLLATERAL_IN, 10**19, WALLET, COLLATERAL),
        *move(111, LineType.STAKE, 10**18 + 7, WALLET, STAKE),
        *move(112, LineType.REFUND, 7, STAKE, WALLET),
    ]
    return lines


AWKWARD = statement_of(awkward_lines())


def write_golden_files() -> None:
    """Write every importer's file of the awkward statement."""
    GOLDEN.mkdir(exist_ok=True)
    for name, importer in IMPORTERS.items():
        (GOLDEN / f"{name}.{importer.suffix}").write_bytes(importer.write(AWKWARD))


if __name__ == "__main__":
    write_golden_files()
