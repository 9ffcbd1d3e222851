"""Settled facts: the data about an applicant that a match reads, and their commitments in the log."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import rfc8785
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Claim, Household
from enrollment.audit.log import append, append_many, entry_of
from enrollment.audit.salts import new_salt
from enrollment.database import clock
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed

ROWS_AT_ONCE = 5_000


def settled_facts(session: Session, applicant: Applicant) -> dict[str, Json]:
    """Return the facts that a match may read, in the form of a market. Only approved claims count."""
    approved = session.execute(
        select(Claim.fact, Claim.school_id)
        .where(Claim.applicant_id == applicant.id, Claim.status == "approved")
        .order_by(Claim.fact, Claim.school_id)
    )
    household = session.get(Household, applicant.household_id) if applicant.household_id else None
    return _document(applicant, [(fact, school) for fact, school in approved], household.ticket if household else None)


def _document(applicant: Applicant, approved: Iterable[tuple[str, str | None]], ticket: str | None) -> dict[str, Json]:
    flags: list[Json] = []
    at: dict[str, list[str]] = {}
    for fact, school in approved:
        if school is None:
            flags.append(fact)
        else:
            at.setdefault(school, []).append(fact)
    return {
        "at": cast("Json", at),
        "attends": applicant.attends,
        "flags": flags,
        "grade": applicant.grade,
        "household": ticket,
        "together": applicant.together,
        "zones": cast("Json", sorted(applicant.zones)),
    }


def _commitment(salt: bytes, facts: dict[str, Json]) -> str:
    document = rfc8785.dumps(cast("dict[str, object]", facts))  # type: ignore[arg-type]
    return keyed(salt, "facts", document).hex()


def commit_facts_of_many(
    session: Session, cycle: str, salts: Mapping[uuid.UUID, bytes], *, actor: str, basis: str, reason: str
) -> None:
    """Append a commitment to the settled facts of each of many applications, whose new salts are stored already."""
    now = clock(session)
    ids = list(salts)
    for start in range(0, len(ids), ROWS_AT_ONCE):
        chunk = ids[start : start + ROWS_AT_ONCE]
        entries = [
            entry_of(
                "facts.set",
                cycle=cycle,
                actor=actor,
                at=now,
                reason=reason,
                fields={"tag": tag.hex(), "commit": _commitment(salts[id_], facts), "basis": basis},
            )
            for id_, tag, facts in _facts_of_many(session, chunk)
        ]
        append_many(session, "facts.set", entries, cycle=cycle, actor=actor, reason=reason)


def _facts_of_many(session: Session, ids: Sequence[uuid.UUID]) -> Iterator[tuple[uuid.UUID, bytes, dict[str, Json]]]:
    claims: dict[uuid.UUID, list[tuple[str, str | None]]] = {}
    approved = (
        select(Claim.applicant_id, Claim.fact, Claim.school_id)
        .where(Claim.applicant_id.in_(ids), Claim.status == "approved")
        .order_by(Claim.fact, Claim.school_id)
    )
    for applicant_id, fact, school in session.execute(approved):
        claims.setdefault(applicant_id, []).append((fact, school))
    rows = session.execute(
        select(Applicant, Child.tag, Household.ticket)
        .join(Child, Child.id == Applicant.child_id)
        .outerjoin(Household, Household.id == Applicant.household_id)
        .where(Applicant.id.in_(ids))
        .order_by(Child.tag)
    )
    for applicant, tag, ticket in rows:
        yield applicant.id, tag, _document(applicant, claims.get(applicant.id, []), ticket)


def commit_facts(session: Session, applicant: Applicant, child: Child, *, actor: str, basis: str, reason: str) -> None:
    """Append a commitment to an applicant's settled facts, with a new salt."""
    salt = new_salt()
    applicant.facts_salt = salt
    session.flush()
    commit = _commitment(salt, settled_facts(session, applicant))
    append(
        session,
        "facts.set",
        cycle=applicant.cycle_id,
        actor=actor,
        reason=reason,
        fields={"tag": child.tag.hex(), "commit": commit, "basis": basis},
    )
