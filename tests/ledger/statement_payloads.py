"""Payloads of frequent statements: as producers write them, and changed in the ways that JSON and forms have."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement_data import TASK_CREATED
from deepnode_ledger.statement_layout import Amount, Choice, Octets, Shape, Slots, Whole, layout_of

BLANKS = ["", " ", "\r\n\t "]
WORD = '"0x' + "0123456789abcDEF" * 4 + '"'
ODD = [
    *("null", "true", "false", "1.0", "1e0", "1E2", "-0", "-1", "01", "1.5", "", "x", "nul", "1 2", "+1", "NaN"),
    *(str(n) for n in (0, 1, 2, 64, 65, 100, 101, 10**6, 10**6 + 1, 10**7, 10**7 + 1, 10**12, 10**12 + 1)),
    *(str(n) for n in (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**18, 10**30)),
    *(
        f'"{n}"'
        for n in (0, 1, "00", "01", "-1", "-0", "1.0", "1_0", " 1", "1 ", "", "\u0661", "1e3", 2**64, 2**64 - 1)
    ),
    *(f'"{n}"' for n in (10**19 - 1, 10**19, 10**37, 10**38 - 1, 10**38, 10**39, 2**127, "9" * 5_000)),
    *(WORD, WORD.upper(), WORD[:-1], WORD[:-3] + '"', WORD[:-1] + '00"', WORD[:-2] + 'g"', WORD[:-2] + '\u0661"'),
    *('"' + WORD[3:], WORD.replace("x01", "x 01")[:-3] + '"', WORD[:43] + '"', WORD[:41] + '"', '"0X' + WORD[3:]),
    *(WORD[:5] + " " + WORD[6:], WORD[:5] + "0x" + WORD[7:], WORD[:5] + "\\u0030" + WORD[6:], '"\\u0030' + WORD[2:]),
    *(
        '"correct"',
        '"incorrect"',
        '"Correct"',
        '"approved"',
        '"rejected"',
        '"correct "',
        '"approve\\u0064"',
        '"\\ud800"',
    ),
    *(
        "[]",
        "[1]",
        "[1, 2]",
        "[2,1]",
        "[1,1]",
        "[true]",
        "[1.0]",
        "[0]",
        "[64]",
        "[65]",
        "[1,2,64]",
        '["1"]',
        "[1,]",
        "[,]",
    ),
    *("[1", "[[1]]", "[null]", str(list(range(1, 65))), str(list(range(1, 66))), "[" * 2_000, "[01]", "[-0]", "[1 2]"),
    *(
        "{}",
        "{ }",
        "{,}",
        '{"input_tokens":5}',
        '{"output_tokens":0,"input_tokens":null}',
        '{"seconds":3}',
        '{"seconds":1e999}',
    ),
    *(
        '{"input_tokens":1,"input_tokens":2}',
        '{"input_tokens":1,}',
        '{"output_tokens":9007199254740993}',
        "{1:1}",
        '{"a"}',
    ),
    *(
        '{"input_tokens":1.0}',
        '{"input_tokens":{"input_tokens":1}}',
        '{"a":{"b":[null,{"c":"\\u00e9"}]}}',
        '"\u00e9"',
        '"\\"',
    ),
]
"""What may stand in a value's place, good here and bad there."""


@dataclass(frozen=True)
class Told:
    """An event and its payload, of which ``members`` is the data as pairs of a name and JSON."""

    event: TaskEvent
    members: tuple[tuple[str, str], ...]
    blank: str = ""
    after: str = ""
    envelope: tuple[tuple[str, str], ...] = ()

    @property
    def payload(self) -> bytes:
        envelope = self.envelope or envelope_of(self.event)
        data = written(self.members, self.blank)
        return (written([*envelope, ("data", data)], self.blank) + self.after).encode("utf-8", "surrogatepass")

    def kept(self) -> TaskEvent:
        return replace(self.event, payload=self.payload)


def envelope_of(event: TaskEvent) -> tuple[tuple[str, str], ...]:
    return (
        ("specversion", '"1.0"'),
        ("type", f'"{event.type}"'),
        ("source", f'"{event.producer}"'),
        ("id", f'"{event.event_id}"'),
        ("time", '"2026-01-31T12:00:00Z"'),
        ("datacontenttype", '"application/json"'),
        ("sequence", f'"{event.sequence}"'),
    )


def written(members: Iterable[tuple[str, str]], blank: str) -> str:
    pairs = [f'{blank}"{name}"{blank}:{blank}{value}{blank}' for name, value in members]
    return "{" + ",".join(pairs) + "}"


def good(shape: Shape) -> st.SearchStrategy[str]:
    """JSON that has the form; bounds come often."""
    match shape:
        case Octets(size):
            digits = st.integers(0, 2 ** (8 * size) - 1).map(lambda number: f"{number:0{2 * size}x}")
            return st.builds(lambda text, upper: f'"0x{text.upper() if upper else text}"', digits, st.booleans())
        case Whole(low, high):
            return (st.sampled_from([low, low + 1, high - 1, high]) | st.integers(low, high)).map(str)
        case Amount():
            near = st.sampled_from([0, 9, 10, 2**64 - 1, 2**64, 10**18, 10**19 - 1, 10**19, 2**126, 10**38 - 1])
            return (near | st.integers(0, 10**38 - 1)).map(lambda number: f'"{number}"')
        case Choice(no, yes):
            return st.sampled_from([f'"{no}"', f'"{yes}"'])
        case Slots():
            return st.sets(st.integers(1, 64)).map(lambda slots: str(sorted(slots)).replace(" ", ""))


@st.composite
def plain(draw: st.DrawFn, event_type: str) -> Told:
    """An event as producers write them: members in order, optional ones there or not."""
    layout, inner = layout_of(event_type), list[tuple[str, str]]()
    members: list[tuple[str, str]] = []
    for member in layout.members:
        if not member.may_be_left_out or draw(st.booleans()):
            (members if member.within is None else inner).append((member.name, draw(good(member.shape))))
    if inner:
        members.append((layout.objects[0], written(inner, "")))
    sequence = draw(st.sampled_from([1, 9, 10, 2**53]) | st.integers(1, 10**6))
    event = TaskEvent("urn:deepnode:producer:p", f"e{sequence}", sequence, event_type, b"", bytes(65))
    return Told(event, tuple(members), draw(st.sampled_from(["", " "])))


@st.composite
def odd(draw: st.DrawFn, told: Told) -> Told:
    """The event, changed once, in any way."""
    envelope = list(told.envelope or envelope_of(told.event))
    members = list(draw(st.permutations(told.members)))
    names, pairs = [name for name, _ in told.members], draw(st.sampled_from([envelope, members, members, members]))
    place, value = draw(st.integers(0, len(pairs) - 1)) if pairs else 0, draw(st.sampled_from(ODD))
    name, own = pairs[place] if pairs else ("task", WORD)
    anything = draw(
        st.sampled_from([*names, *layout_of(told.event.type).objects, "anything", "Task", "usage", "ta\\u0073k"])
    )
    match draw(
        st.sampled_from(["order", "value", "twice", "name", "gone", "more", "escape", "blank", "column", "behind"])
    ):
        case "value":
            pairs[place : place + 1] = [(name, value)]
        case "twice":
            pairs.insert(draw(st.integers(0, len(pairs))), (name, draw(st.sampled_from([value, own]))))
        case "name":
            pairs[place : place + 1] = [(anything, own)]
        case "gone":
            del pairs[place : place + 1]
        case "more":
            pairs.insert(place, (anything, value))
        case "escape":
            pairs[place : place + 1] = [(name, "".join(f"\\u{ord(c):04x}" if c.isalnum() else c for c in own))]
        case "blank":
            told = replace(told, blank=draw(st.sampled_from([*BLANKS, "\x0b", "\x00", "\u00a0"])))
        case "column":
            event = told.event
            others = [replace(event, producer="urn:other"), replace(event, event_id="\u00e9")]
            others += [replace(event, sequence=-1), replace(event, type=TASK_CREATED)]
            told = replace(told, event=draw(st.sampled_from(others)))
        case "behind":
            told = replace(told, after=draw(st.sampled_from([*BLANKS, "{}", "\x00", ",", "}"])))
    return replace(told, members=tuple(members), envelope=tuple(envelope))


def ordinary(event_type: str) -> Told:
    """A short event with all that its type may have."""
    samples: dict[type[Shape], str] = {Amount: '"10"', Slots: "[1,2]"}
    members: list[tuple[str, str]] = []
    inner: list[tuple[str, str]] = []
    for member in layout_of(event_type).members:
        match member.shape:
            case Octets(size):
                value = f'"0x{"0aF" * 2 * size:.{2 * size}}"'
            case Choice(_, yes):
                value = f'"{yes}"'
            case Whole(_, high):
                value = str(min(7, high))
            case shape:
                value = samples[type(shape)]
        (members if member.within is None else inner).append((member.name, value))
    members += [(name, written(inner, "")) for name in layout_of(event_type).objects]
    return Told(TaskEvent("p", "e", 1, event_type, b"", bytes(65)), tuple(members))
