"""The lock watch reports wrong orders, and the documented order is the watched one."""

from collections.abc import Sequence

import pytest

from enrollment.access.accounts import ACCESS
from enrollment.audit.log import SEQUENCER
from enrollment.database import Table
from enrollment.rankings import submission
from enrollment.rules.levels import RULES_LOCK
from lock_order import Transaction, Watch, heads, places

CYCLE = "SELECT cycle.id FROM cycle WHERE cycle.id = %(id_1)s FOR SHARE OF cycle"
CYCLE_ALONE = "SELECT cycle.id FROM cycle WHERE cycle.id = %(id_1)s FOR NO KEY UPDATE OF cycle"
ROUND = "SELECT round.id FROM round WHERE round.id = %(id_1)s FOR NO KEY UPDATE"
CHILD = "SELECT a.id FROM applicant a JOIN child ON child.id = a.child_id FOR NO KEY UPDATE OF child, a"
CLAIM = "SELECT claim.id FROM claim WHERE claim.id = %(id_1)s FOR UPDATE"
OFFER = "UPDATE offer SET status=%(status)s WHERE offer.id = %(id_1)s"
PROGRAMS = "SELECT offering.program_id FROM offering WHERE offering.program_id IN (%(a)s) FOR NO KEY UPDATE"
FREE_OFFERS = "SELECT offer.id FROM offer FOR NO KEY UPDATE SKIP LOCKED"


def complaints(*statements: str) -> Sequence[str]:
    """Return what the watch has against a transaction, without the statements."""
    watch, transaction = Watch(), Transaction()
    for statement in statements:
        watch.note(transaction, statement, {"lock": SEQUENCER if "advisory" in statement else None})
    return [broken.partition(":")[0] for broken in watch.broken]


@pytest.mark.parametrize(
    ("statements", "complaint"),
    [
        ([CLAIM, CYCLE, CHILD], "claim is changed without child"),
        ([ROUND, CYCLE_ALONE], "cycle is locked after round"),
        ([CHILD, "INSERT INTO household (id) VALUES (%(id)s)"], "household is locked after child"),
        ([CYCLE, OFFER], "offer is changed without child"),
        ([CYCLE, PROGRAMS], "offering is locked in any order"),
        (["SELECT cycle.id FROM cycle FOR UPDATE"], "cycle is locked FOR UPDATE, so foreign keys wait for it"),
        (["SELECT pg_advisory_xact_lock(%(lock)s)", ROUND], "round is locked after SEQUENCER"),
    ],
)
def test_a_wrong_lock_order_is_reported(statements: Sequence[str], complaint: str) -> None:
    assert complaints(*statements) == [complaint]


@pytest.mark.parametrize(
    "statements",
    [
        [CYCLE, CHILD, OFFER, PROGRAMS + " ", CYCLE],
        [CYCLE_ALONE, ROUND, OFFER],
        [FREE_OFFERS, OFFER],
        [submission.LOCK_CYCLE, submission.LOCK_CHILD, submission.STORE_RANKING],
        ["SELECT pg_try_advisory_xact_lock(%(lock)s)", CYCLE],
    ],
)
def test_a_right_lock_order_is_not_reported(statements: Sequence[str]) -> None:
    sorted_ = [one.replace("(%(a)s) ", "(%(a)s) ORDER BY offering.program_id ") for one in statements]
    assert complaints(*sorted_) == []


def test_the_documented_locks_exist() -> None:
    advisory = {"ACCESS": ACCESS, "RULES_LOCK": RULES_LOCK, "SEQUENCER": SEQUENCER}
    assert {*places(), *heads()} - advisory.keys() <= Table.metadata.tables.keys()
    assert max(places(), key=lambda name: places()[name]) == "SEQUENCER"
    assert len(places()) > 10
