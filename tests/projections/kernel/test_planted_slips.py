"""A slip in the kernel is shown by the rules, and one in the rules by the kernel: neither repeats the other's."""

import json
import os
import subprocess
import sys
from dataclasses import astuple

import pytest

from tests.projections.kernel.slip_runs import Slip

IN_KERNEL = (
    Slip("kernel.wide", "np.int64(left - whole * np.uint64(PPM))", "np.int64(left - whole * np.uint64(PPM)) + 1"),
    Slip("kernel.wide", "+ np.int64(total < np.uint64(low))", "+ np.int64(0)"),
    Slip("kernel.wide", "- np.int64(np.uint64(low) < np.uint64(less_low))", "- np.int64(0)"),
    Slip(
        "kernel.money_ops",
        "known[profile, ACCOUNTS + pocket]\n            _post",
        "known[profile, ACCOUNTS]\n            _post",
    ),
    Slip("kernel.money_ops", "rows[row, REVENUE_RECEIPTS] += 1", "rows[row, REVENUE_RECEIPTS] += 2"),
    Slip(
        "kernel.money_ops",
        "rows[row, RECEIPT_AMOUNT + 1], rows[row, RECEIPT_REF] = low, high",
        "rows[row, RECEIPT_AMOUNT + 1], rows[row, RECEIPT_REF] = low + 1, high",
    ),
    Slip("kernel.money_ops", "PARTS if paid >= 0 else PARTS - 1", "PARTS"),
    Slip(
        "kernel.money_ops",
        "position, p[EPOCH], known[profile, DOMAIN]",
        "position, p[EPOCH] - 1, known[profile, DOMAIN]",
    ),
    Slip("kernel.task_rows", "p[step + 1] * alpha) // PPM", "p[step + 1] * alpha + PPM - 1) // PPM"),
    Slip("kernel.task_rows", "cells[row, TRUST_UPDATES] += 1", "cells[row, TRUST_UPDATES] = 1"),
    Slip(
        "kernel.task_rows",
        "add(cells, row, at, upper << 32, upper >> 32)",
        "add(cells, row, at, upper << 31, upper >> 32)",
    ),
    Slip("kernel.task_credit", "WORK_WEIGHTED, vwu, difficulty", "WORK_WEIGHTED, vwu, difficulty + 1"),
    Slip("kernel.task_credit", "own[task, TASK_PRICE], own[task, TASK_PRICE + 1])\n", "own[task, TASK_PRICE], 0)\n"),
    Slip("kernel.task_credit", "scratch[2, place] > scratch[2, lucky]", "scratch[2, place] >= scratch[2, lucky]"),
    Slip("kernel.task_credit", "total += vwu\n", "total += vwu + 1\n"),
    Slip("kernel.task_ops", "tables.JUDGING_VALIDATIONS] += 1", "tables.JUDGING_VALIDATIONS] += is_in_line"),
    Slip("kernel.task_ops", "tasks[task, tables.TASK_DIFFICULTY], 0)", "tasks[task, tables.TASK_DIFFICULTY] + 1, 0)"),
    Slip(
        "kernel.task_ops",
        "position, p[params.EPOCH], domain, validator",
        "position, tasks[task, tables.TASK_EPOCH], domain, validator",
    ),
    Slip("kernel.task_ops", "p[params.STAGE_APPROVED] if accepted != 0", "p[params.STAGE_APPROVED] if accepted == 0"),
    Slip("kernel.task_ops", "own[row, tables.SLOT_SEVERITY] = 0", "own[row, tables.SLOT_SEVERITY] = 1"),
    Slip(
        "kernel.task_params",
        "(CREATED, ASSIGNED, APPROVED, FAILED, CREDITED)",
        "(CREATED, ASSIGNED, FAILED, APPROVED, CREDITED)",
    ),
    Slip("kernel.observation_ops", "tables.USE_STARS] += rating", "tables.USE_STARS] += 1"),
    Slip("kernel.observation_ops", "NONE if comment == NONE else m.bases[0] + comment", "NONE"),
    Slip("kernel.observation_ops", "t.task.cells[task_row, price + 1] != high", "False"),
    Slip("kernel.observation_ops", "ASSET] = asset\n    row = enter", "ASSET] = NONE\n    row = enter"),
    Slip("kernel.observation_ops", "tables.OBSERVATION_FIAT] = fiat", "tables.OBSERVATION_FIAT] = source"),
    Slip("kernel.observation_ops", "tables.PRICE_PPM + 1] = cells[at + 4]", "tables.PRICE_PPM + 1] = 0"),
    Slip("kernel.task_ends", "if severity > t.slot", "if severity < t.slot"),
    Slip("kernel.task_ends", "tables.TASK_ATTEMPT] = following", "tables.TASK_ATTEMPT] = attempt"),
    Slip("kernel.task_ends", "= p[params.STAGE_REJECTED]", "= p[params.STAGE_EXPIRED]"),
    Slip(
        "kernel.task_ends",
        "domain, params.IS_MISSING)\n    return True",
        "domain, params.IS_INCORRECT)\n    return True",
    ),
    Slip("kernel.driving", "if not self._state.changed.isdisjoint(SETTLED_BY):", "if False:"),
    Slip("kernel.characters", "(middle << np.uint64(32)) | (rest", "(middle << np.uint64(31)) | (rest"),
    Slip("kernel.order", "words.byteswap()", "words.copy()"),
)
"""Slips in the kernel: a carry, the upper half of sums and differences, whose leg it is, what is counted or added, the
epoch that is counted in, stages, what is told of a task beside its way and of attempts that end early, what is looked
at again when an epoch opens, and how the root is written."""

IN_RULES = (
    Slip(
        "maths.apportion",
        "total * pair[1] % total_weight, reverse",
        "(total * pair[1] % total_weight, pair[0]), reverse",
    ),
    Slip("maths.credit", "sum(vwus) // len(vwus)", "(sum(vwus) + 1) // len(vwus)"),
    Slip("maths.trust", "target_ppm * alpha_ppm) // PPM", "target_ppm * alpha_ppm + PPM - 1) // PPM"),
    Slip("rules.splits", "Carry(*key, *made.carries)", "Carry(*key, *before.legs)"),
    Slip("rules.splits", "bounded(before.gross + gross)", "bounded(before.gross + gross + 1)"),
    Slip("rules.revenue", "*zip(pockets, legs, strict=True)]", "*zip(reversed(pockets), legs, strict=True)]"),
    Slip("rules.revenue", "RECEIVED, None, scene.position, None)", "RECEIVED, None, scene.position - 1, None)"),
    Slip("rules.pockets", "UNATTRIBUTED), -amount), (pocket, amount)", "UNATTRIBUTED), amount), (pocket, -amount)"),
    Slip("rules.tokens", "MINT if sender == ZERO_ADDRESS", "BURN if sender == ZERO_ADDRESS"),
    Slip("rules.economics", "before.receipts + 1", "before.receipts + 2"),
    Slip("rules.comparisons", "before.comparisons + 1", "before.comparisons + 1 - differing"),
    Slip("rules.work", "vwu * task.difficulty_ppm\n        state", "vwu * (task.difficulty_ppm + 1)\n        state"),
    Slip(
        "rules.work",
        "validations=work.validations + 1",
        "validations=work.validations + (1 if each.in_consensus else 0)",
    ),
    Slip("rules.work", "(task.difficulty_ppm if each.in_consensus else 0)", "task.difficulty_ppm"),
    Slip("rules.work", "tasks=sales.tasks + sign, amount=amount", "tasks=sales.tasks + sign, amount=amount + sign"),
    Slip("rules.work", "credited_epoch=epoch)", "credited_epoch=task.epoch)"),
    Slip("rules.verdicts", "correct * PPM > rules.majority_ppm", "correct * PPM >= rules.majority_ppm"),
    Slip("rules.observations", "ratings=use.ratings + 1", "ratings=use.ratings + data.rating"),
    Slip("rules.observations", "(data.processor, data.reference_hash,", "(data.processor, None,"),
    Slip("rules.verdicts", "data.evidence_hash, scene.position))\n    if", "bytes(32), scene.position))\n    if"),
    Slip("rules.tasks", "if task.stage == ASSIGNED:", "if task.stage != ASSIGNED:"),
    Slip("rules.tasks", 'APPROVED: Final = "approved"', 'APPROVED: Final = "agreed"'),
)
"""Slips in the rules and their maths, of the same kinds."""


@pytest.fixture(scope="module")
def shown() -> dict[Slip | None, list[str]]:
    """In which parts of the books each slip shows; None stands for no slip."""
    slips = [*IN_KERNEL, *IN_RULES]
    command = [sys.executable, "-m", "tests.projections.kernel.slip_runs"]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": "."}
    given = json.dumps([astuple(slip) for slip in slips])
    done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip([None, *slips], json.loads(done.stdout), strict=True))


def test_without_a_slip_the_kernel_and_the_rules_agree(shown: dict[Slip | None, list[str]]) -> None:
    """Compares all records, balances, refusals and the root."""
    assert shown[None] == []


@pytest.mark.parametrize("slips", [IN_KERNEL, IN_RULES], ids=["kernel", "rules"])
def test_each_slip_of_one_is_shown_by_the_other(shown: dict[Slip | None, list[str]], slips: tuple[Slip, ...]) -> None:
    """Plants each in the text of a module, and compares the books with those of the other."""
    assert len(slips) >= 10
    assert [slip for slip in slips if not shown[slip]] == []
