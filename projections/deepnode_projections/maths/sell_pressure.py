"""Sell pressure: what emissions ask of the market, so that the 41/41 argument can be made with numbers.

The documents reckon that $41 to miners and $41 to stakers are sold, and that the market must bring at least $100 of new
value for those $82, after slippage, spreads and fees. Both assumptions are fields of the ruleset. Amounts are of one
unit of account, whichever the caller counts in.

Source: seeds/001 section 3.
"""

from dataclasses import dataclass

from deepnode_projections.rulesets.ruleset import PPM, EconomicsRules


@dataclass(frozen=True, slots=True)
class Pressure:
    """What was ``emitted``, how much of it is ``sold``, what value that needs, and what value was ``created``."""

    emitted: int
    sold: int
    needed: int
    created: int

    @property
    def balance(self) -> int:
        """What was created beyond what is needed; negative where emissions outrun the value that they are paid for."""
        return self.created - self.needed


def pressure(rules: EconomicsRules, emitted: int, created: int) -> Pressure:
    """Weigh emissions against the value that was created in the same time, both rounded against the network.

    Source: seeds/001 section 3, "the market must generate >= $100 in new external value to break even".
    """
    assert emitted >= 0, emitted
    assert created >= 0, created
    sold = -(-emitted * rules.sold_ppm // PPM)
    needed = -(-sold * rules.value_needed // rules.per_sold)
    assert 0 <= sold <= emitted, (sold, emitted)
    return Pressure(emitted, sold, needed, created)
