"""What families read about a move on a waitlist is easy to read."""

import pytest

from enrollment.languages import CATALOGUES
from enrollment.waitlists.places import PlaceOnWaitlist
from enrollment.waitlists.sentences import OWN, move_in_words, place_in_words, reason_in_words
from lottery.explain.language import Language
from lottery.market.rules import GENERAL
from reading_grade import too_hard

ENGLISH = Language("en", CATALOGUES)
OTHERS = ("applied", "returned", "priority", "fell", "placed", "left", "withdrawn", "facts", "number", "number-behind")
MOVES = ((None, 4), (4, None), (14, 13))
MOMENT = "Friday, March 12, 2027, 5:00 PM (UTC)"


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("priority_class", ["sibling", GENERAL, None])
@pytest.mark.parametrize("code", [*OWN, *OTHERS])
def test_a_family_reads_a_move_and_its_reason_easily(code: str, priority_class: str | None, number: int) -> None:
    reason = reason_in_words(code, priority_class, number, ENGLISH)
    for was, became in MOVES:
        moved = move_in_words(was, became, program="Lincoln School", moment=MOMENT, language=ENGLISH)
        text = f"{moved} {reason}"
        assert too_hard(text) == [], text


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("group", ["open", "frl"])
def test_a_family_reads_a_place_easily(group: str, *, is_live: bool) -> None:
    place = PlaceOnWaitlist("lincoln-kg", "KG", "Lincoln School", group, 3, 9, drawn=True, is_live=is_live)
    assert too_hard(place_in_words(place, ENGLISH)) == []
