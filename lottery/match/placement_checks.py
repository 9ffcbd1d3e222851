"""Check the placements of an outcome: each function finds the placements that break one rule."""

from collections import Counter
from collections.abc import Iterator

from lottery.match.complaints import Complaint, Rule
from lottery.match.record import Record
from lottery.match.standing import Barred, Standing


def same_market(record: Record) -> Iterator[Complaint]:
    """Compare the digest in the outcome with the market's digest."""
    digest = record.market.digest()
    if record.outcome.market != digest:
        text = f"the market's digest is {digest}, but the outcome names another digest"
        yield Complaint(Rule.MARKET, None, None, text)


def known_names(record: Record) -> Iterator[Complaint]:
    """Find applicants, programs and groups that the market does not have."""
    outcome = record.outcome
    named = [(placement.program, placement.group) for placement in outcome.placements]
    named += [(cutoff.program, cutoff.group) for cutoff in outcome.cutoffs]
    named += [(waitlist.program, waitlist.group) for waitlist in outcome.waitlists]
    for program, group in named:
        if not record.knows(program, group):
            yield Complaint(Rule.KNOWN, None, program, f"the market has no program of this id with a group {group}")
    tickets = [*(placement.applicant for placement in outcome.placements), *outcome.unplaced]
    tickets += [ticket for waitlist in outcome.waitlists for ticket in waitlist.applicants]
    for ticket in tickets:
        if ticket not in record.applicants:
            yield Complaint(Rule.KNOWN, ticket, None, "the market has no applicant of this id")


def everyone_once(record: Record) -> Iterator[Complaint]:
    """Count how often the outcome lists each applicant as placed or unplaced."""
    times = Counter(placement.applicant for placement in record.outcome.placements)
    times.update(record.outcome.unplaced)
    for ticket in record.applicants:
        if times[ticket] != 1:
            text = f"the outcome lists the applicant {times[ticket]} times among placements and unplaced"
            yield Complaint(Rule.ONCE, ticket, None, text)


def placed_where_ranked(record: Record) -> Iterator[Complaint]:
    """Find placements at programs that the applicant neither ranked nor held."""
    for placement in record.placement.values():
        applicant = record.applicants[placement.applicant]
        holds_it = applicant.holds and applicant.holds.program == placement.program
        if placement.program not in applicant.ranking and not holds_it:
            text = "the applicant is placed here, but neither ranked the program nor held a seat at it"
            yield Complaint(Rule.RANKED, applicant.id, placement.program, text)


def choice_counted(record: Record) -> Iterator[Complaint]:
    """Count each placement's choice number in the ranking as submitted."""
    for placement in record.placement.values():
        ranking = record.applicants[placement.applicant].ranking
        choice = ranking.index(placement.program) + 1 if placement.program in ranking else None
        if placement.choice != choice:
            text = f"the outcome says choice {placement.choice}, but the ranking says choice {choice}"
            yield Complaint(Rule.CHOICE, placement.applicant, placement.program, text)


def placed_where_considered(record: Record) -> Iterator[Complaint]:
    """Find placements in seat groups that do not consider the applicant."""
    for program, place, group, placed, _ in record.groups():
        for candidate in placed:
            barred = candidate.standings[place]
            if isinstance(barred, Barred):
                text = f"the applicant is placed in group {group.name}, which does not consider the applicant: {barred}"
                yield Complaint(Rule.CONSIDERED, candidate.applicant.id, program.id, text)


def seats_kept(record: Record) -> Iterator[Complaint]:
    """Compare each seat group's placements with its seats."""
    placements = Counter((placement.program, placement.group) for placement in record.outcome.placements)
    for program, _, group, _, _ in record.groups():
        placed = placements[program.id, group.name]
        if placed > group.seats:
            text = f"group {group.name} has more placements ({placed}) than seats ({group.seats})"
            yield Complaint(Rule.SEATS, None, program.id, text)


def holders_kept(record: Record) -> Iterator[Complaint]:
    """Find holders of a seat who got neither that seat nor a higher choice."""
    for applicant in record.market.applicants:
        if applicant.holds is None:
            continue
        placement = record.placement.get(applicant.id)
        if placement is None or placement.program not in record.ranking(applicant):
            got = f"a placement at {placement.program}, which is not a higher choice" if placement else "no placement"
            text = f"the applicant held a seat here, but got {got}"
            yield Complaint(Rule.HOLDERS, applicant.id, applicant.holds.program, text)


def no_seat_wasted(record: Record) -> Iterator[Complaint]:
    """Find empty seats in groups that consider an applicant who prefers such a seat."""
    for program, place, group, placed, preferring in record.groups():
        if len(placed) >= group.seats:
            continue
        for candidate in preferring:
            if isinstance(candidate.standings[place], Standing):
                empty = group.seats - len(placed)
                text = f"the applicant prefers a seat in group {group.name}, where {empty} seats are empty"
                yield Complaint(Rule.WASTE, candidate.applicant.id, program.id, text)


def no_justified_envy(record: Record) -> Iterator[Complaint]:
    """Find applicants who prefer a seat group in which an applicant with a worse standing is placed."""
    for here in record.groups():
        placed = here.standings(here.placed)
        if not placed:
            continue
        last = placed[-1]
        for standing in here.standings(here.preferring):
            if standing < last:
                text = (
                    f"the applicant has a better standing than {last.ticket}, who is placed in group {here.group.name}"
                )
                yield Complaint(Rule.ENVY, standing.ticket, here.program.id, text)
