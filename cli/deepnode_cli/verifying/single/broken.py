"""What breaks a step of a verification, and the findings that come of it."""

from collections.abc import Mapping
from types import MappingProxyType

from deepnode_cli.verifying.finding import Finding, Severity


class Broken(Exception):
    """A step that does not hold: where, a sentence with the values and the rule, entries and integers."""

    def __init__(
        self, where: str, said: str, positions: tuple[int, ...] = (), integers: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(said)
        self.where = where
        self.positions = positions
        self.integers = MappingProxyType(dict(integers or {}))

    def finding(self, stage: str) -> Finding:
        """Return it as a finding of severity ERROR."""
        return Finding(Severity.ERROR, stage, self.where, str(self), self.positions, self.integers)


def require(holds: object, where: str, said: str, *positions: int, **integers: int) -> None:
    """Go on if something holds.

    Raises:
        Broken: it does not.
    """
    if not holds:
        raise Broken(where, said, positions, integers)


def note(stage: str, where: str, said: str, **integers: int) -> Finding:
    """Return a finding of severity NOTE."""
    return Finding(Severity.NOTE, stage, where, said, (), MappingProxyType(integers))


def warning(stage: str, where: str, said: str, **integers: int) -> Finding:
    """Return a finding of severity WARNING."""
    return Finding(Severity.WARNING, stage, where, said, (), MappingProxyType(integers))


def error(stage: str, where: str, said: str, *positions: int, **integers: int) -> Finding:
    """Return a finding of severity ERROR."""
    return Finding(Severity.ERROR, stage, where, said, positions, MappingProxyType(integers))
