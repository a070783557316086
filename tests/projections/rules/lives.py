"""Whole lives of tasks, drawn: what a producer says of one that the rules allow from its creation to its end."""

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from tests.projections.rules.spoken import Said, judged

NODES = ("n1", "n2", "n3", "n4")
MODELS = {"d1": ("m1", "m2"), "d2": ("m3",)}
VOTES = st.lists(st.booleans(), min_size=2, max_size=3)


@st.composite
def lives(draw: st.DrawFn, task: str) -> list[Said]:
    """Everything that is said of one task, in order: up to three attempts, then its credit or another end."""
    domain = draw(st.sampled_from(sorted(MODELS)))
    difficulty = draw(st.integers(1, 10_000_000))
    own = {"task": task, "domain": domain, "model": draw(st.sampled_from(MODELS[domain]))}
    own_price = str(draw(st.integers(0, 10**30)))
    said: list[Said] = [("TaskCreated", {**own, "difficulty_ppm": difficulty, "price": own_price})]
    for attempt in (1, 2, 3):
        at = {"task": task, "attempt": attempt}
        nodes = draw(st.permutations(NODES))[:2]
        answers = draw(st.sampled_from([(1, 2), (2, 1), (1,), (2,), ()]))
        votes = {slot: draw(VOTES) for slot in answers}
        said += judged(task, nodes=nodes, attempt=attempt, answers=answers, correct=votes)
        if not answers:
            said.append(("TaskExpired", at))
            return said
        said += _reports(draw, at, nodes, votes)
        accepted = [slot for slot in (1, 2) if _is_correct(votes.get(slot, []))]
        verdict = "approved" if accepted else "rejected"
        said.append(("ConsensusReached", {**at, "verdict": verdict, "accepted": accepted}))
        if accepted:
            for slot in draw(st.permutations(accepted)):
                vwu = {"node": nodes[slot - 1], "vwu": draw(st.integers(1, 10**12)), "difficulty_ppm": difficulty}
                said.append(("VWUAssigned", {**at, "slot": slot, **vwu}))
            if draw(st.booleans()):
                said.append(("UserFeedback", {"task": task, "rating": draw(st.integers(1, 5))}))
            return said
        if attempt == 3 or draw(st.booleans()):
            said.append(("TaskRejected", at))
            return said
        said.append(("TaskReassigned", {**at, "next_attempt": attempt + 1}))
    raise AssertionError(task)


def _is_correct(votes: Sequence[bool]) -> bool:
    return 2 * votes.count(True) > len(votes)


def _reports(
    draw: st.DrawFn, at: Mapping[str, object], nodes: Sequence[str], votes: Mapping[int, Sequence[bool]]
) -> list[Said]:
    """Some of those who found an output incorrect report its node."""
    against = [(slot, number) for slot in votes for number, vote in enumerate(votes[slot], 1) if not vote]
    chosen = draw(st.lists(st.sampled_from(against), unique=True)) if against else []
    return [
        (
            "BadBehaviourReported",
            {
                **at,
                "slot": slot,
                "node": nodes[slot - 1],
                "validator": f"v{number}",
                "severity": draw(st.integers(1, 3)),
            },
        )
        for slot, number in chosen
    ]


@st.composite
def interleaved(draw: st.DrawFn, told: Sequence[Sequence[Said]]) -> list[Said]:
    """Several lives as one history: each in its own order, all of them mixed."""
    places = draw(st.permutations([number for number, life in enumerate(told) for _ in life]))
    left = [iter(life) for life in told]
    return [next(left[number]) for number in places]
