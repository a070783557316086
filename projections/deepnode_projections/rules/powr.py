"""PoWR, Proof of Work Relevance: at an epoch's end the models of each domain are ranked by relevance, then accuracy.

Relevance is what people made of a model: half of it is its use, beside that of the domain's most used model, and half
what its users said, from one star (nothing) to five (everything); a model that nobody rated is in the middle. Accuracy
is the part of its outputs with a consensus that were found correct. All of it is in ppm, rounded down. Equals are
ranked by their ids, so that a rank belongs to one model.

A model is ranked in the epochs in which it was used, judged or rated. What its users said of it is also what its trust
learns from, once an epoch, so that a rating can still be corrected within its own.

Source: seeds/002 section 2 (PoWR ranks models by relevance and accuracy within a domain), seeds/003 sections 1 and 2.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Final

from deepnode_ledger.statement_form import RATING_MAX
from deepnode_projections.rules.registry import PPM
from deepnode_projections.rules.scene import Scene
from deepnode_projections.rules.trust import learn_from_users
from deepnode_projections.rules.work import ModelUse

UNRATED_PPM: Final = PPM // 2
"""What users say of a model that nobody rated."""


@dataclass(frozen=True, slots=True)
class ModelRank:
    """A model's place among those of its domain in an epoch that is over.

    ``relevance`` is the mean of use and satisfaction, in ppm. ``accuracy`` is the part of its judged outputs that
    were correct, in ppm. ``rank`` is 1 for the best. ``use`` is how much it was used beside the domain's most used
    model, in ppm. ``satisfaction`` is what its users said, in ppm: 0 if all gave one star, a million if all gave
    five, the half without ratings.
    """

    TABLE: ClassVar[str] = "model_rank"
    KEY: ClassVar[int] = 3

    epoch: int
    domain: bytes
    model: bytes
    relevance: int
    accuracy: int
    rank: int
    use: int
    satisfaction: int


def close_epoch(scene: Scene, epoch: int) -> None:
    """Rank the models of every domain by an epoch that ends with this event, and let their trust learn from it.

    To be called once an epoch, by the event that opens the next one.
    """
    used = scene.state.every(ModelUse, epoch)
    # The state gives them in the order of their keys, so each domain's stand together.
    for _, of_domain in groupby(used, key=lambda each: each.domain):
        for rank in ranked(list(of_domain)):
            scene.state.put(rank)
    for each in used:
        if each.ratings:
            learn_from_users(scene, epoch, each.model, each.domain, satisfaction_of(each))


def ranked(used: Iterable[ModelUse]) -> list[ModelRank]:
    """Rank models of one domain and epoch, best first."""
    uses = list(used)
    most = max((each.weighted for each in uses), default=0)
    measured = []
    for each in uses:
        use, satisfaction = _part(each.weighted, most), satisfaction_of(each)
        relevance, accuracy = (use + satisfaction) // 2, _part(each.correct, each.judged)
        measured.append((-relevance, -accuracy, each.model, each, use, satisfaction))
    return [
        ModelRank(each.epoch, each.domain, model, -relevance, -accuracy, rank, use, satisfaction)
        for rank, (relevance, accuracy, model, each, use, satisfaction) in enumerate(sorted(measured, key=_place), 1)
    ]


def satisfaction_of(use: ModelUse) -> int:
    """Return what a model's users said of it, in ppm: 0 if all gave one star, a million if all gave five."""
    if not use.ratings:
        return UNRATED_PPM
    return _part(use.stars - use.ratings, (RATING_MAX - 1) * use.ratings)


def _place(measured: tuple[int, int, bytes, ModelUse, int, int]) -> tuple[int, int, bytes]:
    return measured[:3]


def _part(amount: int, whole: int) -> int:
    """Return a part of a whole in ppm; 0 of nothing."""
    assert 0 <= amount <= whole, (amount, whole)
    return amount * PPM // whole if whole else 0


RECORDS: Final = (ModelRank,)
