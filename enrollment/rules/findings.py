"""Findings of lint in the service: a stable code, the place in the rules, and a sentence with what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from enrollment.dates import Value
from enrollment.problems import sentence
from lottery.lint.findings import Basis, Check, Weight


@dataclass(frozen=True, slots=True)
class RulesFinding:
    """Rules that cannot do what they say, or do something that a school may not expect."""

    code: str
    weight: Weight
    pointer: str
    """The place in the resolved rules."""
    detail: str
    values: Mapping[str, Value] = field(default_factory=dict)


def code_of(check: Check) -> str:
    """Return the stable code of a check: `CLASS_FOR_ALL` is `class-for-all`."""
    return check.name.lower().replace("_", "-")


BY_RULES: Mapping[Check, str] = {
    Check.CONDITION_NEVER: sentence("No child can meet this condition. Correct or remove the condition."),
    Check.CONDITION_ALWAYS: sentence(
        "Every child who can get a seat meets this condition, so the condition changes nothing. Correct or remove the "
        "condition."
    ),
    Check.PART_NEVER: sentence("No child can meet this part of the condition. Correct or remove this part."),
    Check.PART_IDLE: sentence("The same children meet the condition without this part. Correct or remove this part."),
    Check.SIBLING_NEVER: sentence(
        "No child can have a sibling with a new seat here, because the match places this grade first at the school. "
        "Ask for siblings who attend now (at_school), or change the cycle's sibling_order."
    ),
    Check.CLASS_UNREACHABLE: sentence(
        "No child can be in the class “{class}”: every child who meets the condition is in an earlier class or cannot "
        "get these seats. Move the class up, correct the condition, or remove the class."
    ),
    Check.CLASS_FOR_ALL: sentence(
        "The class “{class}” takes every child outside the earlier classes, so the class puts no child ahead of "
        "another. Correct the condition if some children must come later."
    ),
    Check.RESERVE_WITHOUT_SEATS: sentence(
        "The reserve “{reserve}” has no seat at a program of this size (seats: {seats}). Set a number of seats "
        "instead of a percentage, or remove the reserve."
    ),
    Check.RESERVE_FOR_NOBODY: sentence(
        "No child can be eligible and meet the condition of the reserve “{reserve}”. Correct the condition or the "
        "eligibility, or remove the reserve."
    ),
    Check.RESERVE_LIKE_OPEN: sentence(
        "The reserve “{reserve}” changes no placement, because children come in the same order for the open "
        "seats. Correct the condition or remove the reserve."
    ),
    Check.OVERFLOW_IDLE: sentence(
        "The overflow condition of the reserve “{reserve}” lets in no other child, or keeps out no child. Correct the "
        "condition, or set overflow to closed or open."
    ),
    Check.RESERVE_BEHIND_OPEN: sentence(
        "The reserve “{reserve}” keeps out some children, and it fills after seats that every child can get. Children "
        "of the reserve can take those seats first, and then reserved seats stay empty. Fill the reserve first, or set "
        "overflow to open."
    ),
    Check.ALL_CLOSED: sentence(
        "Every seat is in a reserve that keeps out some children. A child who meets none of the conditions can apply "
        "but can never get a seat. Write the conditions in eligible, or leave some seats open."
    ),
    Check.LIST_EMPTY: sentence(
        "The school's own list is empty, so the program takes no child. Add applicants to the list before the freeze, "
        "or use lottery numbers."
    ),
    Check.LIST_AFTER_CLASSES: sentence(
        "Priority classes come before the school's own list. If the list alone must decide, remove the classes."
    ),
    Check.NEW_NUMBERS: sentence(
        "With this order, a family can gain over two rounds by leaving a wanted school off the first ranking. Set the "
        "order to waitlist if a true ranking must be best in both rounds."
    ),
    Check.MANY_NUMBERS: sentence(
        "This program draws its own lottery numbers, and other programs share one number. With one number, more "
        "children usually get their first choice. Remove tie_break, unless the school needs its own numbers."
    ),
    Check.BACKFILL_IDLE: sentence("This part of the backfill rule has no effect. Remove this part."),
}
"""What the rules alone show."""

BY_APPLICANTS: Mapping[Check, str] = {
    Check.UNKNOWN_WORD: sentence(
        "No applicant has the fact, school or zone that this condition names. Check the name, and check that the facts "
        "of all applicants are there."
    ),
    Check.ELIGIBLE_NOBODY: sentence(
        "No child who ranks this school is eligible. Correct the condition, or check that the facts of all applicants "
        "are there."
    ),
    Check.CLASS_EMPTY: sentence(
        "No child is in the class “{class}” now. Check that the facts of all applicants are there, and whether earlier "
        "classes take these children."
    ),
    Check.CLASS_FOR_ALL: sentence(
        "All children who can get a seat here are in the class “{class}” now. Check the condition if some children "
        "must come later."
    ),
    Check.CLASS_FOLLOWS_RANKING: sentence(
        "The class “{class}” has exactly the children who rank this program first. A class that depends on rankings "
        "rewards families who hide a true choice. Check how children get this fact."
    ),
    Check.RESERVE_FOR_NOBODY: sentence(
        "No child who ranks this school meets the condition of the reserve “{reserve}” now. Check that the facts of "
        "all applicants are there."
    ),
    Check.RESERVE_LEFT_EMPTY: sentence(
        "Too few children can get seats of the reserve “{reserve}”, so some of its seats stay empty. Reserve fewer "
        "seats, or set overflow to open."
    ),
    Check.RESERVE_LIKE_OPEN: sentence(
        "With the children who rank this school now, the reserve “{reserve}” changes no placement. Check the "
        "condition, or remove the reserve."
    ),
    Check.LIST_SHORT: sentence(
        "The school's own list has fewer children than the program has seats, so some seats stay empty. Put more "
        "children on the list, or offer fewer seats."
    ),
    Check.LIST_STRANGERS: sentence(
        "The school's own list has tickets that are not in this round. If these children did not withdraw, "
        "send a list for this round."
    ),
    Check.NOT_CONSIDERED: sentence(
        "Some children who rank this school cannot get a seat under the school's rules. Tell their families "
        "while they can still change their rankings, or check that the facts of all applicants are there."
    ),
}
"""What the rules show together with the children who rank the school now."""

ABOUT_OTHERS = frozenset(Check) - BY_RULES.keys() - BY_APPLICANTS.keys()
"""Checks about applicants, about the cycle's policy, or with simulated draws. The service has other notes for them."""


def detail_of(check: Check, basis: Basis) -> str | None:
    """Return the sentence of a finding; None for checks that the service leaves out."""
    return (BY_RULES if basis is Basis.RULES else BY_APPLICANTS).get(check)
