"""Create and change cycles, within the limits that the calendar sets."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.cycles.inputs import Calendar, CycleChangeIn, CycleIn, Policy, Terms
from enrollment.cycles.locks import CycleNow, lock_cycle, rfc3339
from enrollment.cycles.models import Cycle
from enrollment.problems import Conflict, Fault, MalformedBody, sentence
from enrollment.time_zones import UTC_NAME
from lottery.market.canonical import Json

CALENDAR = tuple(Calendar.model_fields)
POLICY = tuple(Policy.model_fields)
TERMS = tuple(Terms.model_fields)

FIXED = ("tie_break", "late", "twins", "sibling_order", "most_ranks")
"""Settings of the policy that never change once the cycle has opened."""

GROWING = ("school_facts", "child_facts")
"""Lists that can only grow once the cycle has opened."""

LISTS = ("grades", *GROWING, "sibling_order")


@dataclass(frozen=True, slots=True)
class GradesInUse:
    """The grades that a cycle cannot lose."""

    offered: Collection[str]
    """The grades in which schools have offered programs."""
    applied: Collection[str]
    """The grades of active applications."""


class CycleContradictsItself(MalformedBody):
    """The calendar is out of order, or two lists contradict each other."""

    title = sentence("Contradictory cycle settings")


class CycleIdTaken(Conflict):
    """Another cycle has this id."""

    title = sentence("Cycle id already taken")
    detail = sentence("The cycle {cycle} already exists. Choose another id, or change that cycle with PUT.")


class CycleFixed(Conflict):
    """The change touches settings that are fixed now."""

    title = sentence("Cycle settings are fixed")
    detail = sentence("Nothing was changed. Correct each listed setting, then send the cycle again.")


def make_cycle(session: Session, body: CycleIn, *, actor: str, sis_key: str) -> CycleNow:
    """Create a cycle, and append it to the log.

    Args:
        session: the transaction.
        body: the whole cycle.
        actor: the caller's name in the log.
        sis_key: the id of the secret for the digests of SIS ids.

    Raises:
        CycleContradictsItself: if the calendar is out of order, or two lists contradict each other.
        CycleIdTaken: if another cycle has this id.
    """
    _refuse_contradictions(body)
    row = {"id": body.id, "sis_key": sis_key, **_columns(body)}
    made = session.execute(insert(Cycle).values(row).on_conflict_do_nothing().returning(Cycle.id)).one_or_none()
    if made is None:
        raise CycleIdTaken(cycle=body.id)
    cycle_now = lock_cycle(session, body.id)
    append(session, "cycle.put", cycle=body.id, actor=actor, fields=cycle_in_full(cycle_now.cycle))
    return cycle_now


def change_cycle(
    session: Session, cycle_now: CycleNow, body: CycleChangeIn, *, grades_in_use: GradesInUse, actor: str
) -> None:
    """Change a cycle, and append the change to the log. A moved deadline is a separate entry.

    A new time zone moves calendar days, such as last dates in rules. It moves no time: deadlines and offers stay.

    Args:
        session: the transaction that locks the cycle.
        cycle_now: the cycle, from `lock_cycle`.
        body: the complete new settings.
        grades_in_use: the grades that schools offer, and those for which families apply.
        actor: the caller's name in the log.

    Raises:
        CycleContradictsItself: if the calendar is out of order, or two lists contradict each other.
        CycleFixed: listing every change that is no longer allowed.
    """
    columns = _columns(body)
    if all(getattr(cycle_now.cycle, name) == value for name, value in columns.items()):
        return
    _refuse_contradictions(body)
    faults = [
        *_fixed_settings(cycle_now, body),
        *_removed_grades(cycle_now.cycle, body, grades_in_use),
        *_agreement(cycle_now.cycle, body),
    ]
    if faults:
        raise CycleFixed(faults=faults)
    cycle, old_deadline = cycle_now.cycle, cycle_now.cycle.deadline
    for name, value in columns.items():
        setattr(cycle, name, value)
    cycle.version += 1
    session.flush()
    append(session, "cycle.put", cycle=cycle.id, actor=actor, fields=cycle_in_full(cycle), reason=body.reason)
    if cycle_now.has_opened and old_deadline != cycle.deadline:
        moved = {"what": "deadline", "from": rfc3339(old_deadline), "to": rfc3339(cycle.deadline)}
        append(session, "deadline.move", cycle=cycle.id, actor=actor, fields=moved, reason=body.reason)


def cycles_in_utc(session: Session) -> Sequence[str]:
    """Return the cycles whose days are days in UTC, as in cycles that are older than their time zones."""
    return session.scalars(select(Cycle.id).where(Cycle.time_zone == UTC_NAME).order_by(Cycle.id)).all()


def cycle_in_full(cycle: Cycle) -> Mapping[str, Json]:
    """Return the calendar, the policy and the terms, as the log entry `cycle.put` has them."""
    return {name: _as_json(getattr(cycle, name)) for name in (*CALENDAR, *POLICY, *TERMS)}


def _as_json(value: "datetime | Json") -> Json:
    return rfc3339(value) if isinstance(value, datetime) else value


def _columns(body: CycleIn | CycleChangeIn) -> "dict[str, datetime | Json]":
    return {name: getattr(body, name) for name in (*CALENDAR, *POLICY, *TERMS)}


def _refuse_contradictions(body: CycleIn | CycleChangeIn) -> None:
    faults = [*_out_of_order(body), *_window_faults(body), *_list_faults(body)]
    if faults:
        raise CycleContradictsItself(faults=faults)


def _out_of_order(body: Calendar) -> Iterator[Fault]:
    if body.deadline <= body.opens_at:
        yield Fault("/deadline", "deadline-before-opening", sentence("must be later than opens_at"))
    if body.late_until is not None and body.late_until < body.deadline:
        yield Fault(
            "/late_until",
            "late-before-deadline",
            sentence("must not be before the deadline; send null to accept no late rankings"),
        )
    if body.results_at is not None and body.results_at < body.deadline:
        yield Fault("/results_at", "results-before-deadline", sentence("must not be before the deadline"))
    if body.answer_by is not None and (body.results_at is None or body.answer_by <= body.results_at):
        yield Fault(
            "/answer_by", "answer-before-results", sentence("must be later than results_at; send results_at too")
        )


def _window_faults(body: Calendar) -> Iterator[Fault]:
    yield from _window("backfill_opens", body.backfill_opens, "backfill_until", body.backfill_until)
    yield from _window(
        "transfers_frozen_from", body.transfers_frozen_from, "transfers_frozen_until", body.transfers_frozen_until
    )
    opens = body.backfill_opens
    if opens is not None and opens < max(body.deadline, body.late_until or body.deadline):
        yield Fault("/backfill_opens", "backfill-too-early", sentence("must not be before deadline or late_until"))


def _window(opening: str, opens: datetime | None, ending: str, until: datetime | None) -> Iterator[Fault]:
    names = {"opening": opening, "ending": ending}
    if (opens is None) != (until is None):
        missing = opening if opens is None else ending
        yield Fault(
            f"/{missing}", "half-a-window", sentence("is missing; send both {opening} and {ending}, or neither"), names
        )
    elif opens is not None and until is not None and until <= opens:
        yield Fault(f"/{ending}", "window-ends-first", sentence("must be later than {opening}"), names)


def _list_faults(body: Policy) -> Iterator[Fault]:
    for name in LISTS:
        yield from _repeated(name, getattr(body, name))
    for place, fact in enumerate(body.child_facts):
        if fact in body.school_facts:
            detail = sentence("repeats {fact} from school_facts; keep {fact} in one list only")
            yield Fault(f"/child_facts/{place}", "fact-of-two-kinds", detail, {"fact": fact})
    if body.sibling_order and set(body.sibling_order) != set(body.grades):
        detail = sentence("must list every grade once; send an empty list to match the oldest grade first")
        yield Fault("/sibling_order", "not-every-grade", detail)


def _repeated(name: str, entries: Sequence[str]) -> Iterator[Fault]:
    for place, entry in enumerate(entries):
        if entry in entries[:place]:
            detail = sentence("repeats {entry}; list it once")
            yield Fault(f"/{name}/{place}", "repeated", detail, {"entry": entry})


def _fixed_settings(cycle_now: CycleNow, body: CycleChangeIn) -> Iterator[Fault]:
    if not cycle_now.has_opened:
        return
    cycle = cycle_now.cycle
    if body.reason is None:
        detail = sentence("is required once the cycle has opened; say why you change the cycle")
        yield Fault("/reason", "reason-missing", detail)
    for name in ("opens_at", *FIXED):
        if getattr(body, name) != getattr(cycle, name) and not (name == "sibling_order" and _keeps_order(cycle, body)):
            yield Fault(
                f"/{name}", "opened", sentence("cannot change once the cycle has opened; send the current value")
            )
    for name in GROWING:
        for entry in getattr(cycle, name):
            if entry not in getattr(body, name):
                detail = sentence("must keep {entry} once the cycle has opened; add {entry} back")
                yield Fault(f"/{name}", "opened", detail, {"entry": entry})
    if body.deadline != cycle.deadline:
        yield from _moved_deadline(cycle_now, body)


def _keeps_order(cycle: Cycle, body: CycleChangeIn) -> bool:
    """Say whether the sibling order only gains new grades and loses removed ones."""
    was, becomes = cycle.sibling_order, body.sibling_order
    same = [grade for grade in becomes if grade in was] == [grade for grade in was if grade in becomes]
    return same and bool(was) == bool(becomes)


def _moved_deadline(cycle_now: CycleNow, body: CycleChangeIn) -> Iterator[Fault]:
    if cycle_now.cycle.main_round is not None:
        yield Fault(
            "/deadline",
            "main-round-frozen",
            sentence("cannot change once the main round is frozen; send the current value"),
        )
    elif body.deadline <= cycle_now.now:
        # A deadline in the past would make on-time rankings late.
        yield Fault("/deadline", "deadline-passed", sentence("must be in the future; choose a later time"))


def _removed_grades(cycle: Cycle, body: CycleChangeIn, in_use: GradesInUse) -> Iterator[Fault]:
    if cycle.main_round is not None and not set(body.grades).issuperset(cycle.grades):
        detail = sentence("cannot lose a grade once the main round is frozen; send every grade that the cycle has")
        yield Fault("/grades", "main-round-frozen", detail)
    for grade in sorted(set(in_use.applied) - set(body.grades) - set(in_use.offered)):
        detail = sentence("must keep {grade} because families apply for it; add {grade} back")
        yield Fault("/grades", "grade-applied", detail, {"grade": grade})
    for grade in sorted(set(in_use.offered) - set(body.grades)):
        detail = sentence("must keep {grade} because schools have offered programs in it; add {grade} back")
        yield Fault("/grades", "grade-offered", detail, {"grade": grade})


def _agreement(cycle: Cycle, body: CycleChangeIn) -> Iterator[Fault]:
    if body.agreement != cycle.agreement and body.agreement_version == cycle.agreement_version:
        detail = sentence("must change because the text of the agreement changed; schools accepted the old text")
        yield Fault("/agreement_version", "same-version", detail)
