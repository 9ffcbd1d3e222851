"""What families and schools read about a result is easy to read."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from enrollment.cycles.models import Cycle
from enrollment.languages import CATALOGUES
from enrollment.moments import moments_of
from enrollment.results.child_now import ChildNow
from enrollment.results.sentences import EXCLUDED, ResultFacts, class_in_words, now_in_words, result_in_words
from lottery.explain.language import Language
from lottery.market.rules import AtSchool, PriorityClass
from reading_grade import too_hard

ENGLISH = Language("en", CATALOGUES)
MOMENT = moments_of(Cycle(time_zone="America/New_York"), ENGLISH)
PUBLISHED = datetime(2027, 4, 20, 21, 0, tzinfo=UTC)

RESULTS: Mapping[str, ResultFacts] = {
    "seat": ResultFacts("main", PUBLISHED, None, "Lincoln School", kept=False, not_listed=[]),
    "kept seat": ResultFacts("backfill", PUBLISHED, None, "Lincoln School", kept=True, not_listed=[]),
    "no seat": ResultFacts("main", PUBLISHED, None, None, kept=False, not_listed=[]),
    "not listed": ResultFacts("main", PUBLISHED, None, None, kept=False, not_listed=["Exam School"]),
    **{why: ResultFacts("main", PUBLISHED, why, None, kept=False, not_listed=[]) for why in EXCLUDED},
}


@pytest.mark.parametrize("what", sorted(RESULTS))
def test_a_family_reads_easily_what_a_round_gave(what: str) -> None:
    assert too_hard(result_in_words(RESULTS[what], MOMENT, ENGLISH)) == []


def test_a_family_reads_easily_that_there_is_no_seat_and_no_waitlist_now() -> None:
    assert too_hard("\n".join(now_in_words(ChildNow(PUBLISHED, [], []), None, MOMENT, ENGLISH))) == []


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("priority", [None, PriorityClass("sibling", AtSchool("sibling"))])
def test_the_reason_for_a_priority_is_easy_to_read(priority: PriorityClass | None, *, listed: bool) -> None:
    assert too_hard(class_in_words(priority, "en", listed=listed)) == []
