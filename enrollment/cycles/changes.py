"""Make a cycle, and change it: the calendar, the policy, and what of them is fixed when."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.cycles.locks import CycleNow, lock_cycle, rfc3339
from enrollment.cycles.models import Cycle
from enrollment.cycles.schemas import Calendar, CycleChangeIn, CycleIn, Policy, Terms
from enrollment.problems import Conflict, Fault, MalformedBody, sentence
from lottery.market.canonical import Json

CALENDAR = tuple(Calendar.model_fields)
POLICY = tuple(Policy.model_fields)
TERMS = tuple(Terms.model_fields)

FIXED = ("tie_break", "late", "twins", "sibling_order", "most_ranks")
"""What of the policy never changes once the cycle has opened."""

GROWING = ("grades", "school_facts", "child_facts")
"""Lists that may only get longer once the cycle has opened."""


class CycleContradictsItself(MalformedBody):
    """A calendar out of order, or lists that do not fit each other."""

    title = sentence("The cycle contradicts itself")


class CycleIdTaken(Conflict):
    """A cycle of that id is there already."""

    title = sentence("The id is taken")
    detail = sentence("Choose another id; the cycle {cycle} is there already. To change it, PUT it.")


class CycleFixed(Conflict):
    """A change of what is fixed by now."""

    title = sentence("A part of the cycle is fixed by now")
    detail = sentence("Leave what is listed as it is. Nothing was changed.")


def make_cycle(session: Session, body: CycleIn, *, actor: str, sis_key: str) -> CycleNow:
    """Make a cycle, and tell the log.

    Args:
        session: the transaction.
        body: the whole cycle.
        actor: who acts, as the log names them.
        sis_key: the id of the secret that keys its digests of SIS ids.

    Raises:
        CycleContradictsItself: if the calendar is out of order, or lists do not fit each other.
        CycleIdTaken: if there is one of that id.
    """
    _refuse_contradictions(body)
    row = {"id": body.id, "sis_key": sis_key, **_columns(body)}
    made = session.execute(insert(Cycle).values(row).on_conflict_do_nothing().returning(Cycle.id)).one_or_none()
    if made is None:
        raise CycleIdTaken(cycle=body.id)
    held = lock_cycle(session, body.id)
    append(session, "cycle.put", cycle=body.id, actor=actor, fields=cycle_in_full(held.cycle))
    return held


def change_cycle(
    session: Session, held: CycleNow, body: CycleChangeIn, *, grades_offered: Collection[str], actor: str
) -> None:
    """Change a cycle that is held for it, and tell the log; a deadline that moves is an entry of its own.

    Args:
        session: the transaction in which it is held.
        held: the cycle, from `lock_cycle`.
        body: the whole cycle as it shall be.
        grades_offered: grades at which programs have been offered.
        actor: who acts, as the log names them.

    Raises:
        CycleContradictsItself: if the calendar is out of order, or lists do not fit each other.
        CycleFixed: naming each part that may no longer be changed so.
    """
    _refuse_contradictions(body)
    faults = [*_fixed_parts(held, body), *_lost_grades(body, grades_offered), *_agreement(held.cycle, body)]
    if faults:
        raise CycleFixed(faults=faults)
    cycle, before = held.cycle, held.cycle.deadline
    for name, value in _columns(body).items():
        setattr(cycle, name, value)
    cycle.version += 1
    session.flush()
    append(session, "cycle.put", cycle=cycle.id, actor=actor, fields=cycle_in_full(cycle), reason=body.reason)
    if held.has_opened and before != cycle.deadline:
        moved = {"what": "deadline", "from": rfc3339(before), "to": rfc3339(cycle.deadline)}
        append(session, "deadline.move", cycle=cycle.id, actor=actor, fields=moved, reason=body.reason)


def cycle_in_full(cycle: Cycle) -> Mapping[str, Json]:
    """Return the calendar, the policy and the terms, as the entry `cycle.put` tells of them."""
    return {name: _told(getattr(cycle, name)) for name in (*CALENDAR, *POLICY, *TERMS)}


def _told(value: "datetime | Json") -> Json:
    return rfc3339(value) if isinstance(value, datetime) else value


def _columns(body: CycleIn | CycleChangeIn) -> "dict[str, datetime | Json]":
    return {name: getattr(body, name) for name in (*CALENDAR, *POLICY, *TERMS)}


def _refuse_contradictions(body: CycleIn | CycleChangeIn) -> None:
    faults = [*_out_of_order(body), *_windows(body), *_lists(body)]
    if faults:
        raise CycleContradictsItself(faults=faults)


def _out_of_order(body: Calendar) -> Iterator[Fault]:
    if body.deadline <= body.opens_at:
        yield Fault("/deadline", "deadline-before-opening", sentence("must be later than opens_at"))
    if body.late_until is not None and body.late_until < body.deadline:
        yield Fault("/late_until", "late-before-deadline", sentence("must not be before the deadline; null: none late"))
    if body.results_at is not None and body.results_at < body.deadline:
        yield Fault("/results_at", "results-before-deadline", sentence("must not be before the deadline"))
    if body.answer_by is not None and (body.results_at is None or body.answer_by <= body.results_at):
        yield Fault(
            "/answer_by", "answer-before-results", sentence("must be later than results_at, which must be given")
        )


def _windows(body: Calendar) -> Iterator[Fault]:
    yield from _window("backfill_opens", body.backfill_opens, "backfill_until", body.backfill_until)
    yield from _window(
        "transfers_frozen_from", body.transfers_frozen_from, "transfers_frozen_until", body.transfers_frozen_until
    )
    opens = body.backfill_opens
    if opens is not None and opens < max(body.deadline, body.late_until or body.deadline):
        yield Fault("/backfill_opens", "backfill-too-early", sentence("must not be before the deadline and late_until"))


def _window(opening: str, opens: datetime | None, ending: str, until: datetime | None) -> Iterator[Fault]:
    names = {"opening": opening, "ending": ending}
    if (opens is None) != (until is None):
        missing = opening if opens is None else ending
        yield Fault(f"/{missing}", "half-a-window", sentence("{opening} and {ending} go together: give both"), names)
    elif opens is not None and until is not None and until <= opens:
        yield Fault(f"/{ending}", "window-ends-first", sentence("must be later than {opening}"), names)


def _lists(body: Policy) -> Iterator[Fault]:
    for name in (*GROWING, "sibling_order"):
        yield from _repeated(name, getattr(body, name))
    for place, fact in enumerate(body.child_facts):
        if fact in body.school_facts:
            detail = sentence("{fact} is in school_facts too; a fact is of one kind")
            yield Fault(f"/child_facts/{place}", "fact-of-two-kinds", detail, {"fact": fact})
    if body.sibling_order and set(body.sibling_order) != set(body.grades):
        detail = sentence("must name every grade once, or none for oldest first")
        yield Fault("/sibling_order", "not-every-grade", detail)


def _repeated(name: str, entries: Sequence[str]) -> Iterator[Fault]:
    for place, entry in enumerate(entries):
        if entry in entries[:place]:
            detail = sentence("{entry} stands there twice; leave one out")
            yield Fault(f"/{name}/{place}", "repeated", detail, {"entry": entry})


def _fixed_parts(held: CycleNow, body: CycleChangeIn) -> Iterator[Fault]:
    if not held.has_opened:
        return
    cycle = held.cycle
    if body.reason is None:
        detail = sentence("is missing; the cycle has opened, so say why it is changed")
        yield Fault("/reason", "reason-missing", detail)
    if body.opens_at != cycle.opens_at:
        yield Fault("/opens_at", "opened", sentence("the cycle has opened; leave opens_at as it is"))
    for name in FIXED:
        if getattr(body, name) != getattr(cycle, name):
            yield Fault(f"/{name}", "opened", sentence("was fixed when the cycle opened; leave it as it is"))
    for name in GROWING:
        for entry in getattr(cycle, name):
            if entry not in getattr(body, name):
                detail = sentence("{entry} has been there since the cycle opened; put it back")
                yield Fault(f"/{name}", "opened", detail, {"entry": entry})
    if body.deadline != cycle.deadline:
        yield from _moved_deadline(held, body)


def _moved_deadline(held: CycleNow, body: CycleChangeIn) -> Iterator[Fault]:
    if held.cycle.main_round is not None:
        yield Fault("/deadline", "main-round-frozen", sentence("the main round is frozen; the deadline stays"))
    elif body.deadline <= held.now:
        # Otherwise rankings that were on time when they came would have come after it.
        yield Fault("/deadline", "deadline-passed", sentence("must be still to come, if it is moved"))


def _lost_grades(body: CycleChangeIn, grades_offered: Collection[str]) -> Iterator[Fault]:
    for grade in sorted(set(grades_offered) - set(body.grades)):
        detail = sentence("{grade} has programs that were offered; put it back")
        yield Fault("/grades", "grade-offered", detail, {"grade": grade})


def _agreement(cycle: Cycle, body: CycleChangeIn) -> Iterator[Fault]:
    if body.agreement != cycle.agreement and body.agreement_version == cycle.agreement_version:
        detail = sentence("must be a new version, because the agreement's text is new and schools accepted the old one")
        yield Fault("/agreement_version", "same-version", detail)
