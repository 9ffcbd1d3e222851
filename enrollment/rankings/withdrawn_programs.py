"""Ranked programs that no longer take part in the cycle."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Select, any_, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant
from enrollment.directory.models import Offering
from enrollment.rankings.models import RankingVersion


def withdrawn_programs(session: Session, cycle: str, programs: Sequence[str]) -> Mapping[str, str | None]:
    """Return those of some programs that left the cycle, each with the school's reason."""
    return dict(session.execute(_left(cycle).where(Offering.program_id.in_(programs))).all())


def programs_that_left(session: Session, cycle: str) -> Mapping[str, str | None]:
    """Return all programs that left a cycle, each with the school's reason."""
    return dict(session.execute(_left(cycle)).all())


def _left(cycle: str) -> Select[str, str | None]:
    return select(Offering.program_id, Offering.reason).where(Offering.cycle_id == cycle, Offering.status == "out")


def applicants_to_warn(partner: Partner, cycle: str) -> Select[str, Sequence[tuple[str, str | None]]]:
    """Select a partner's applicants whose ranking in force has programs that left the cycle, with those programs.

    Each applicant is one row, so no page cuts the programs of an applicant.
    """
    programs = func.jsonb_agg(
        aggregate_order_by(func.jsonb_build_array(Offering.program_id, Offering.reason), Offering.program_id)
    )
    return (
        select(Applicant.reference, programs)
        .join(
            RankingVersion,
            (RankingVersion.applicant_id == Applicant.id) & (RankingVersion.version == Applicant.ranking_version),
        )
        .join(Offering, Offering.program_id == any_(RankingVersion.programs))
        .where(
            Applicant.cycle_id == cycle,
            Applicant.partner_id == partner.id,
            Offering.cycle_id == cycle,
            Offering.status == "out",
        )
        .group_by(Applicant.reference)
    )
