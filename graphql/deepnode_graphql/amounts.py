"""Amounts as people read them, made from base units by integer arithmetic alone."""


def format_amount(amount: int, decimals: int, symbol: str) -> str:
    """Write base units in whole tokens: ``12.000000000000000001 DN``, without zeros at the end of the fraction."""
    whole, fraction = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else ""
    digits = f"{fraction:0{decimals}}".rstrip("0") if fraction else ""
    return f"{sign}{whole}{'.' if digits else ''}{digits} {symbol}"
