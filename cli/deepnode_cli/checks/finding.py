"""A finding: what one check says of one thing, and what an operator does about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How well it is. The names are written in the JSON output."""

    OK = "ok"
    WARN = "warn"
    """It works, and not as it should or not for long."""
    BAD = "bad"
    SKIPPED = "skipped"
    """It could not be looked at: a setting is not given, or what it rests on is bad already."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    ``check`` is the check's name, the same in every version; ``about``: of which of several things, such as a provider;
    ``says``: what was found, with the values; ``to_do``: what to do about it, where it is not well.
    """

    check: str
    verdict: Verdict
    says: str
    to_do: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Unseen:
    """In the place of what could not be looked at: why not. ``is_bad``: it should have been possible."""

    reason: str
    is_bad: bool = True


def not_given(setting: str) -> Unseen:
    """Say that there is nothing to look at, as a setting (``--rpc``) was left out."""
    return Unseen(f"{setting} is not given", is_bad=False)


def ok(check: str, says: str, *, about: str = "") -> Finding:
    """Find that something is well."""
    return Finding(check, Verdict.OK, says, "", about)


def warn(check: str, says: str, to_do: str, *, about: str = "") -> Finding:
    """Find that something is not as it should be."""
    return Finding(check, Verdict.WARN, says, to_do, about)


def bad(check: str, says: str, to_do: str, *, about: str = "") -> Finding:
    """Find that something is wrong."""
    return Finding(check, Verdict.BAD, says, to_do, about)


def skipped(check: str, unseen: Unseen | str, *, about: str = "") -> Finding:
    """Say that something was not looked at, and why."""
    return Finding(check, Verdict.SKIPPED, unseen if isinstance(unseen, str) else unseen.reason, "", about)


def unseen(check: str, why: Unseen, to_do: str, *, about: str = "") -> Finding:
    """Find that something could not be looked at: it is wrong if it should have been possible."""
    return bad(check, why.reason, to_do, about=about) if why.is_bad else skipped(check, why, about=about)
