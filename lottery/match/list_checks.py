"""Check the cutoffs, the waitlists, and the order of the lists in an outcome."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from lottery.market.outcome import Cutoff, last_document
from lottery.match.complaints import Complaint, Rule
from lottery.match.record import Record
from lottery.match.reference import last_admitted


def numbers_drawn_right(record: Record) -> Iterator[Complaint]:
    """Draw the number of each last admitted applicant again, or find the position in the school's list."""
    for expected, stated in _cutoffs_side_by_side(record):
        if expected.last and stated.last:
            correct = (expected.last.number, expected.last.position)
            if (stated.last.number, stated.last.position) != correct:
                text = f"the last admitted applicant of group {expected.group} has another number or position"
                yield Complaint(Rule.NUMBERS, None, expected.program, text)


def cutoffs_correct(record: Record) -> Iterator[Complaint]:
    """Compute each group's cutoff again."""
    times = Counter((cutoff.program, cutoff.group) for cutoff in record.outcome.cutoffs)
    for program, _, group, _, _ in record.groups():
        if times[program.id, group.name] != 1:
            text = f"group {group.name} has {times[program.id, group.name]} cutoffs; it must have one"
            yield Complaint(Rule.CUTOFFS, None, program.id, text)
    for expected, stated in _cutoffs_side_by_side(record):
        corrections = _corrections(expected, stated)
        if corrections:
            text = f"the cutoff of group {expected.group} must have {', '.join(corrections)}"
            yield Complaint(Rule.CUTOFFS, None, expected.program, text)


def waitlists_correct(record: Record) -> Iterator[Complaint]:
    """Compute each group's waitlist again."""
    listed: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for waitlist in record.outcome.waitlists:
        listed.setdefault((waitlist.program, waitlist.group), []).append(waitlist.applicants)
    for here in record.groups():
        waiting = here.standings(record.ranking_higher[here.program.id])
        expected = [tuple(standing.ticket for standing in waiting)] if waiting else []
        stated = listed.get((here.program.id, here.group.name), [])
        if stated != expected:
            applicant = _first_difference([*stated, ()][0], [*expected, ()][0])
            text = (
                f"the waitlist of group {here.group.name} must list each waiting applicant once, in order of standing"
            )
            yield Complaint(Rule.WAITLISTS, applicant, here.program.id, text)


def lists_in_order(record: Record) -> Iterator[Complaint]:
    """Check the order of every list in the outcome."""
    yield from _applicants_in_order(record)
    yield from _groups_in_order(record)


def _applicants_in_order(record: Record) -> Iterator[Complaint]:
    outcome = record.outcome
    for name, tickets in (
        ("placements", [placement.applicant for placement in outcome.placements]),
        ("unplaced", outcome.unplaced),
    ):
        for before, after in pairwise(tickets):
            if before >= after:
                text = f"the applicant comes after {before} in {name}; sort the list by applicant id"
                yield Complaint(Rule.ORDER, after, None, text)


def _groups_in_order(record: Record) -> Iterator[Complaint]:
    outcome = record.outcome
    turn = {(here.program.id, here.group.name): position for position, here in enumerate(record.groups())}
    for name, groups in (
        ("cutoffs", [(cutoff.program, cutoff.group) for cutoff in outcome.cutoffs]),
        ("waitlists", [(waitlist.program, waitlist.group) for waitlist in outcome.waitlists]),
    ):
        for previous, group in pairwise(groups):
            if turn.get(previous, -1) >= turn.get(group, -1):
                text = f"group {group[1]} is out of order in {name}; sort the list by program id, then by precedence"
                yield Complaint(Rule.ORDER, None, group[0], text)


def _cutoffs_side_by_side(record: Record) -> Iterator[tuple[Cutoff, Cutoff]]:
    """Yield each group's cutoff, first as computed here and then as the outcome states it.

    Groups without a cutoff in the outcome are left out.
    """
    cutoffs = {(cutoff.program, cutoff.group): cutoff for cutoff in record.outcome.cutoffs}
    for here in record.groups():
        stated = cutoffs.get((here.program.id, here.group.name))
        if stated:
            standings = here.standings(here.placed)
            full = len(here.placed) == here.group.seats > 0
            last = last_admitted(standings[-1], here.program, here.group) if full and standings else None
            yield Cutoff(here.program.id, here.group.name, here.group.seats, len(here.placed), last), stated


def _corrections(expected: Cutoff, stated: Cutoff) -> list[str]:
    """Name the values that the cutoff must have instead. The lottery number has a check of its own."""
    counts = [
        f"{name} {correct}"
        for name, correct, value in (
            ("seats", expected.seats, stated.seats),
            ("filled", expected.filled, stated.filled),
        )
        if correct != value
    ]
    if expected.last is None or stated.last is None:
        presence = "a last admitted applicant" if expected.last else "no last admitted applicant"
        return counts if expected.last == stated.last else [*counts, presence]
    correct_last, stated_last = last_document(expected.last) or {}, last_document(stated.last) or {}
    keys = ("holder", "meets", "late", "class", "drawn_in")
    return counts + [
        f"last {key} {correct_last.get(key, 'left out')}"
        for key in keys
        if correct_last.get(key) != stated_last.get(key)
    ]


def _first_difference(stated: Sequence[str], expected: Sequence[str]) -> str | None:
    differing = [ticket for ticket, other in zip(stated, expected, strict=False) if ticket != other]
    rest = [*stated[len(expected) :], *expected[len(stated) :]]
    return next(iter([*differing, *rest]), None)
