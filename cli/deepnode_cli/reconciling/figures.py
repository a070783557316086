"""Figures: what the books say, each with the question to the chain that must have the same answer."""

from dataclasses import dataclass, field

from deepnode_cli.reconciling.views import View
from deepnode_ledger.hexadecimal import WORD_BYTES, to_hex


@dataclass(frozen=True, slots=True)
class Question:
    """A call of a view of the contract at an address (20 bytes); the answer's word of that number is meant."""

    address: bytes
    data: bytes
    word: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the books, in base units of the token ``symbol``, and where the chain has it.

    The answers of several questions are summed. Without a symbol it is no amount; ``is_word`` tells a hash (32 bytes,
    as a number) from a count.
    """

    part: str
    where: str
    symbol: str
    books: int
    questions: tuple[Question, ...]
    is_word: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the books and the chain (or what the books would have) are not the same.

    ``chain`` is None where the contract refuses to answer. With ``is_law`` it is not the chain's word but what a law of
    the books asks for.
    """

    part: str
    where: str
    symbol: str
    books: int
    chain: int | None
    is_word: bool = False
    is_law: bool = False

    @property
    def amount(self) -> int | None:
        """What the books have above the other; None where that has no meaning."""
        return None if self.chain is None or self.is_word else self.books - self.chain

    def shown(self, value: int | None) -> str:
        """Write one of the two sides."""
        if value is None:
            return "refused"
        return to_hex(value.to_bytes(WORD_BYTES)) if self.is_word else str(value)


@dataclass(slots=True)
class Findings:
    """What was compared part by part, what differs, what was not asked and why, and what is worth a word."""

    compared: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def count(self, part: str, compared: int = 1) -> None:
        """Count comparisons of a part, none of them to name it."""
        self.compared[part] = self.compared.get(part, 0) + compared

    def compare(self, figure: Figure, chain: int | None) -> None:
        """Hold a figure of the books against the chain's."""
        self.count(figure.part)
        if figure.books != chain:
            differs = Difference(figure.part, figure.where, figure.symbol, figure.books, chain, figure.is_word)
            self.differences.append(differs)

    def differing(self, part: str) -> int:
        """How many differences a part has."""
        return sum(each.part == part for each in self.differences)


def question(address: bytes, view: View, *arguments: bytes | int, output: str = "") -> Question:
    """Make a call of a view; ``output`` names what is meant of several values."""
    return Question(address, view.data(*arguments), view.word_of(output))
