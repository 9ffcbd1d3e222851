"""Look after live waitlists: read in the log what has happened, order anew what it touches, and say why places moved.

The log says which children an act was about, whichever feature it was an act of; so nothing that changes a standing has
to know of waitlists. A look sees one state of things, and leaves how far it has read.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ARRAY, Uuid, delete, func, literal, select, tuple_
from sqlalchemy.orm import Session, sessionmaker

from enrollment.applicants.models import Applicant, Child, Household
from enrollment.audit.models import LogEntry, LogLeaf
from enrollment.cycles.models import Cycle
from enrollment.database import copy_rows, transaction
from enrollment.directory.models import Program
from enrollment.failures import for_each, not_waiting
from enrollment.notify.notices import NewNotice, notify
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.models import Round
from enrollment.rounds.snapshot import children_waiting, policy_of
from enrollment.rules.in_force import InForce, rules_in_force
from enrollment.rules.levels import part_of
from enrollment.rules.to_market import read_back
from enrollment.seats.models import LIVE, Offer, SeatChange, WaitlistLook, WaitlistMove, WaitlistPlace
from lottery.market.model import Applicant as Entry
from lottery.market.model import Kind, Market
from lottery.market.model import Round as MarketRound
from lottery.market.rules import BackfillRule, Order
from lottery.market.rules import Program as InMarket
from lottery.match.lottery_numbers import NUMBER_BYTES, SEED_BYTES, Draw
from lottery.match.siblings import ranking_as_matched
from lottery.match.standing import Standing, Standings

LOOKING = 0x77616974
"""The advisory lock that makes one look at a time: `wait` in hex."""

WAITLISTS = "waitlists"

ABOUT_A_TAG = ("ranking.put", "ranking.withdraw", "facts.set")
ABOUT_A_SEAT = "seat.change"
ABOUT_ALL = ("round.publish", "rules.put")

UNDRAWN = b"\xff" * NUMBER_BYTES
"""Stands for the number of a child that is new: behind everybody of its class until it is drawn."""

Key = tuple[str, str]
"""A program and one of its seat groups."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One child on a waitlist."""

    child: uuid.UUID
    priority_class: str | None
    drawn: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a place, and why: each reason with the class that it is about and how many children it is of."""

    child: uuid.UUID
    was: int | None
    became: int | None
    reasons: Sequence[tuple[str, str | None, int]]


@dataclass(frozen=True, slots=True)
class ListChange:
    """A waitlist that stands otherwise now."""

    key: Key
    new: Sequence[Waiting]
    moves: Sequence[Move]


def look_after_waitlists(sessions: "sessionmaker[Session]") -> None:
    """Look after the waitlists of every cycle whose main round is published, and in which no round is frozen."""
    with transaction(sessions) as session:
        cycles = session.scalars(
            select(Cycle.id)
            .join(Round, Round.id == Cycle.main_round)
            .where(Round.state == "published", Cycle.running_round.is_(None), not_waiting(WAITLISTS, Cycle.id))
            .order_by(Cycle.id)
        ).all()
    for_each(sessions, WAITLISTS, cycles, look)


def look(sessions: "sessionmaker[Session]", cycle_id: str) -> None:
    """Read the log from where the last look ended, and order the waitlists anew that it touches.

    What is read is one state of things, in a transaction of its own that writes nothing; so no act that goes on
    meanwhile can be in the way of what is written, and the next look finds what this one did not see.
    """
    with transaction(sessions) as session:
        if not session.execute(select(func.pg_try_advisory_xact_lock(LOOKING))).scalar_one():
            return
        before = session.get(WaitlistLook, cycle_id)
        with transaction(sessions) as seeing:
            seeing.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            size = seeing.execute(select(func.coalesce(func.max(LogLeaf.index) + 1, 0))).scalar_one()
            if before is not None and before.log_size == size:
                return
            touched = _touched(seeing, cycle_id, since=before.log_size if before else None)
            changes = list(_changes(seeing, seeing.get_one(Cycle, cycle_id), touched))
        if changes:
            _lock_children(session, changes)
            _write(session, cycle_id, changes)
            _keep(session, cycle_id, changes, looked=size)
        session.merge(WaitlistLook(cycle_id=cycle_id, log_size=size))


def _touched(session: Session, cycle: str, *, since: int | None) -> set[str] | None:
    """Return the programs whose waitlists what was logged may change; None: all."""
    if since is None:
        return None
    rows = session.execute(
        select(LogEntry.type, LogEntry.body, LogEntry.leaf_hash)
        .join(LogLeaf, LogLeaf.entry_id == LogEntry.id)
        .where(
            LogLeaf.index >= since,
            LogEntry.cycle_id == cycle,
            LogEntry.type.in_([*ABOUT_A_TAG, ABOUT_A_SEAT, *ABOUT_ALL]),
        )
    ).all()
    if any(row.type in ABOUT_ALL for row in rows):
        return None
    tags = {bytes.fromhex(json.loads(row.body)["tag"]) for row in rows if row.type in ABOUT_A_TAG}
    leaves = [row.leaf_hash for row in rows if row.type == ABOUT_A_SEAT]
    about = set(session.scalars(select(Child.id).where(Child.cycle_id == cycle, Child.tag.in_(tags))))
    seats = session.execute(
        select(SeatChange.child_id, SeatChange.program_id).where(SeatChange.leaf_hash.in_(leaves))
    ).all()
    about |= {child for child, _ in seats}
    return {program for _, program in seats} | _programs_of(session, about)


def _programs_of(session: Session, children: Collection[uuid.UUID]) -> set[str]:
    """Return the programs that children and their households' members rank now or wait at."""
    households = select(Applicant.household_id).where(
        Applicant.child_id.in_(children), Applicant.household_id.is_not(None)
    )
    concerned = select(Applicant.child_id).where(
        Applicant.child_id.in_(children) | Applicant.household_id.in_(households)
    )
    waits = session.scalars(select(WaitlistPlace.program_id).where(WaitlistPlace.child_id.in_(concerned)).distinct())
    ranked = session.scalars(
        select(func.unnest(RankingVersion.programs))
        .join(
            Applicant,
            (Applicant.id == RankingVersion.applicant_id) & (Applicant.ranking_version == RankingVersion.version),
        )
        .where(Applicant.child_id.in_(concerned), Applicant.withdrawn_at.is_(None))
        .distinct()
    )
    # Whoever is no longer of their household had a priority where they hold a seat.
    schools = select(Program.school_id).join(Offer, Offer.program_id == Program.id)
    there = schools.where(Offer.child_id.in_(concerned), Offer.status.in_(LIVE))
    beside = session.scalars(select(Program.id).where(Program.school_id.in_(there)))
    return {*waits, *ranked, *beside}


def _changes(session: Session, cycle: Cycle, programs: Collection[str] | None) -> Iterator[ListChange]:
    """Yield the waitlists of some programs (None: of all) that stand otherwise now, with every move and its reasons."""
    if programs is not None and not programs:
        return
    now = _lists_now(session, cycle, programs)
    before = _lists_before(session, cycle.id, programs)
    gone = _why_gone(session, cycle.id, now, before)
    returned = set(
        session.scalars(
            select(Offer.child_id).where(Offer.cycle_id == cycle.id, Offer.status.in_(["declined", "expired"]))
        )
    )
    for key in sorted({*now, *before}):
        new, old = now.get(key, []), before.get(key, [])
        if new != old:
            why = {child: reason for (program, child), reason in gone.items() if program == key[0]}
            yield ListChange(key, new, list(moves_between(old, new, why, returned)))


def moves_between(
    old: Sequence[Waiting], new: Sequence[Waiting], gone: Mapping[uuid.UUID, str], returned: Collection[uuid.UUID]
) -> Iterator[Move]:
    """Yield who moved from one order of a waitlist to another, each with the reasons.

    Args:
        old: the waitlist as it was, in order.
        new: the same as it is.
        gone: why each who is not on it any more is not: `placed`, `left`, `withdrawn`, `facts`.
        returned: who waits again, because a seat was given up that the family had ranked higher.
    """
    was = {one.child: place for place, one in enumerate(old, start=1)}
    became = {one.child: place for place, one in enumerate(new, start=1)}
    class_was = {one.child: one for one in old}
    changed = [one for one in new if one.child in was and _changed(class_was[one.child], one)]
    own = {one.child: _own(class_was[one.child], one) for one in changed}
    left_before = _running(old, lambda one: (gone.get(one.child, "left"), None) if one.child not in became else None)
    came = {one.child: "returned" if one.child in returned else "applied" for one in new if one.child not in was}
    came_before = _running(new, lambda one: (came[one.child], one.priority_class) if one.child in came else None)
    for place, one in enumerate(new, start=1):
        former = was.get(one.child)
        if former is None:
            yield Move(one.child, None, place, [(f"own-{came[one.child]}", one.priority_class, 1)])
        elif former != place:
            reasons = Counter({**left_before[former - 1]}) + came_before[place - 1]
            for other in changed:
                if other.child != one.child:
                    reasons.update(_overtaking(other, one, was, became))
            told = [own[one.child]] if one.child in own else []
            told += [(code, class_, number) for (code, class_), number in sorted(reasons.items(), key=str)]
            # A school may fill later seats in another order than the main round's, such as the same numbers reversed.
            yield Move(one.child, former, place, told or [("own-order", None, 1)])
    for place, one in enumerate(old, start=1):
        if one.child not in became:
            yield Move(one.child, place, None, [("own-" + gone.get(one.child, "left"), None, 1)])


Reason = tuple[str, str | None]


def _running(waiting: Sequence[Waiting], reason: Callable[[Waiting], Reason | None]) -> list[Counter[Reason]]:
    """Return, for each place, the reasons that those before it give."""
    counts: list[Counter[Reason]] = []
    so_far: Counter[Reason] = Counter()
    for one in waiting:
        counts.append(so_far)
        given = reason(one)
        if given:
            so_far = so_far + Counter([given])
    return counts


def _changed(old: Waiting, new: Waiting) -> bool:
    return (old.priority_class is not None and old.priority_class != new.priority_class) or old.drawn != new.drawn


def _own(old: Waiting, new: Waiting) -> tuple[str, str | None, int]:
    return ("own-number", None, 1) if old.drawn != new.drawn else ("own-priority", new.priority_class, 1)


def _overtaking(
    other: Waiting, one: Waiting, was: Mapping[uuid.UUID, int], became: Mapping[uuid.UUID, int]
) -> list[Reason]:
    """Return what another child's change did to one: it came before it, or fell behind it."""
    before, after = was[other.child] < was[one.child], became[other.child] < became[one.child]
    if before == after:
        return []
    return [("priority" if after else "fell", other.priority_class)]


def _lists_now(session: Session, cycle: Cycle, programs: Collection[str] | None) -> dict[Key, list[Waiting]]:
    """Return the waitlists in the order in which a backfill round would admit, were it to fill every seat now."""
    market = _market(session, cycle, programs)
    standings = Standings(market, _draw(session, cycle.id, market))
    siblings = _siblings_seats(session, cycle)
    school_of = {program.id: program.school for program in market.programs}
    wanted = {program.id: program for program in market.programs if programs is None or program.id in programs}
    found: dict[Key, list[tuple[Standing, str]]] = {}
    for applicant in market.applicants:
        at = siblings.get((applicant.household or "", applicant.grade), frozenset())
        for ranked in ranking_as_matched(applicant, school_of, at):
            if ranked not in wanted or (applicant.holds and applicant.holds.program == ranked):
                continue
            program = wanted[ranked]
            for group, standing in zip(standings.groups[ranked], standings.at(applicant, program, at), strict=True):
                if isinstance(standing, Standing):
                    drawn = applicant.drawn_in != market.round.id
                    its = standing if drawn else standing._replace(number=UNDRAWN)
                    found.setdefault((ranked, group.name), []).append((its, group.classes[standing.priority]))
    children = _children_by_ticket(session, cycle.id)
    new = {applicant.id for applicant in market.applicants if applicant.drawn_in == market.round.id}
    return {
        key: [
            Waiting(children[standing.ticket], reached, standing.ticket not in new)
            for standing, reached in sorted(waiting)
        ]
        for key, waiting in found.items()
    }


def _market(session: Session, cycle: Cycle, programs: Collection[str] | None) -> Market:
    rules = rules_in_force(session, cycle.id)
    in_market = {one.program: _filling(one) for one in rules}
    round_ = MarketRound(f"{cycle.id}-now"[:64], Kind.BACKFILL)
    waiting: list[Entry] = children_waiting(session, cycle, round_, in_market, programs)
    return Market(round_, policy_of(cycle), tuple(in_market.values()), tuple(waiting))


def _filling(rules: InForce) -> InMarket:
    """Return a program as one that fills: waitlists are kept also where a school's rule fills nothing for now.

    A fresh order is not drawn yet; until then the numbers of the earlier draw stand for it.
    """
    said = part_of(rules.rules).backfill
    order = Order.REVERSE if said and said.order == "reverse" else Order.WAITLIST
    return replace(read_back(rules.market), backfill=BackfillRule(order=order))


def _draw(session: Session, cycle: str, market: Market) -> Draw:
    """Return the numbers of earlier draws; for who is new a seed that nothing is taken from."""
    rows = session.execute(
        select(Round.id, Round.seed).where(Round.cycle_id == cycle, Round.seed.is_not(None)).order_by(Round.id)
    )
    return Draw(market, seed=bytes(SEED_BYTES), seeds={name: seed for name, seed in rows if seed is not None})


def _siblings_seats(session: Session, cycle: Cycle) -> dict[tuple[str, str], frozenset[str]]:
    """Return the schools where a household's members of grades matched earlier hold seats, by household and grade."""
    turn = {grade: place for place, grade in enumerate(policy_of(cycle).grade_order)}
    rows = session.execute(
        select(Household.ticket, Program.grade, Program.school_id)
        .join(Applicant, Applicant.household_id == Household.id)
        .join(Offer, Offer.child_id == Applicant.child_id)
        .join(Program, Program.id == Offer.program_id)
        .where(Offer.cycle_id == cycle.id, Offer.status.in_(LIVE), Applicant.withdrawn_at.is_(None))
    ).all()
    found: dict[tuple[str, str], frozenset[str]] = {}
    for household, grade, school in rows:
        for later, its_turn in turn.items():
            if turn[grade] < its_turn:
                found[household, later] = found.get((household, later), frozenset()) | {school}
    return found


def _children_by_ticket(session: Session, cycle: str) -> dict[str, uuid.UUID]:
    rows = session.execute(select(Child.tag, Child.id).where(Child.cycle_id == cycle))
    return {tag.hex(): child for tag, child in rows}


def _lists_before(session: Session, cycle: str, programs: Collection[str] | None) -> dict[Key, list[Waiting]]:
    asked = (
        select(WaitlistPlace)
        .where(WaitlistPlace.cycle_id == cycle)
        .order_by(WaitlistPlace.program_id, WaitlistPlace.seat_group, WaitlistPlace.place)
    )
    if programs is not None:
        asked = asked.where(WaitlistPlace.program_id.in_(programs))
    found: dict[Key, list[Waiting]] = {}
    for row in session.scalars(asked):
        found.setdefault((row.program_id, row.seat_group), []).append(
            Waiting(row.child_id, row.priority_class, row.drawn)
        )
    return found


def _why_gone(
    session: Session, cycle: str, now: Mapping[Key, Sequence[Waiting]], before: Mapping[Key, Sequence[Waiting]]
) -> dict[tuple[str, uuid.UUID], str]:
    """Say of every child that is not on a program's waitlist any more why it is not, by program and child."""
    gone: set[tuple[str, uuid.UUID]] = set()
    for key, waiting in before.items():
        still = {one.child for one in now.get(key, ())}
        gone |= {(key[0], one.child) for one in waiting if one.child not in still}
    rows = session.execute(
        select(Child.id, Applicant.id, RankingVersion.programs, Offer.program_id)
        .outerjoin(Applicant, (Applicant.child_id == Child.id) & Applicant.withdrawn_at.is_(None))
        .outerjoin(
            RankingVersion,
            (RankingVersion.applicant_id == Applicant.id) & (RankingVersion.version == Applicant.ranking_version),
        )
        .outerjoin(Offer, (Offer.child_id == Child.id) & Offer.status.in_(LIVE))
        .where(Child.cycle_id == cycle, Child.id.in_({child for _, child in gone}))
    )
    stand = {child: (applicant, ranked or [], seat) for child, applicant, ranked, seat in rows}
    return {(program, child): _why(program, *stand[child]) for program, child in gone}


def _why(program: str, applicant: uuid.UUID | None, ranked: Sequence[str], seat: str | None) -> str:
    if applicant is None:
        return "withdrawn"
    if seat == program or (seat is not None and program in ranked):
        return "placed"
    return "facts" if program in ranked else "left"


def _lock_children(session: Session, changes: Sequence[ListChange]) -> None:
    """Lock children in order of their ids, as foreign keys will: only the change of a child's SIS id waits for it."""
    children = {one.child for change in changes for one in change.new}
    children |= {move.child for change in changes for move in change.moves}
    asked = select(Child.id).where(Child.id == func.any(literal(list(children), ARRAY(Uuid)))).order_by(Child.id)
    session.execute(asked.with_for_update(read=True, key_share=True)).all()


def _write(session: Session, cycle: str, changes: Sequence[ListChange]) -> None:
    """Put the waitlists that stand otherwise now in the place of those that were."""
    session.execute(
        delete(WaitlistPlace)
        .where(
            WaitlistPlace.cycle_id == cycle,
            tuple_(WaitlistPlace.program_id, WaitlistPlace.seat_group).in_([change.key for change in changes]),
        )
        .execution_options(synchronize_session=False)
    )
    copy_rows(
        session,
        WaitlistPlace,
        ["cycle_id", "program_id", "seat_group", "child_id", "place", "priority_class", "drawn"],
        (
            (cycle, *change.key, one.child, place, one.priority_class, one.drawn)
            for change in changes
            for place, one in enumerate(change.new, start=1)
        ),
    )


def _keep(session: Session, cycle: str, changes: Sequence[ListChange], *, looked: int) -> None:
    """Keep moves, and notify the partners of those who stood on the list before; `looked` makes each notice one."""
    copy_rows(
        session,
        WaitlistMove,
        ["cycle_id", "program_id", "seat_group", "child_id", "was", "became", "reasons"],
        (
            (cycle, *change.key, move.child, move.was, move.became, json.dumps(move.reasons))
            for change in changes
            for move in change.moves
        ),
    )
    rows = session.execute(
        select(Applicant.child_id, Applicant.partner_id, Applicant.reference).where(
            Applicant.cycle_id == cycle, Applicant.withdrawn_at.is_(None)
        )
    )
    brought = {child: (partner, reference) for child, partner, reference in rows}
    notify(
        session,
        [
            NewNotice(
                cycle,
                brought[move.child][0],
                "waitlist.moved",
                f"{change.key[0]} {change.key[1]} {move.child} {looked}",
                {
                    "reference": brought[move.child][1],
                    "program": change.key[0],
                    "group": change.key[1],
                    "was": move.was,
                    "became": move.became,
                },
            )
            for change in changes
            for move in change.moves
            if move.was is not None and move.child in brought
        ],
    )
