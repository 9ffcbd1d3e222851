"""Faults of rankings: programs that the applicant cannot rank, and lists that are too long or empty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from enrollment.directory.models import Offering, Program
from enrollment.problems import Fault, sentence


@dataclass(frozen=True, slots=True)
class KnownProgram:
    """A program in the directory, and whether it takes part in the cycle."""

    grade: str
    takes_part: bool
    why_not: str | None = None
    """The school's reason why the program left the cycle."""


def find_faults(
    session: Session, programs: Sequence[str], *, cycle: str, grade: str, max_ranks: int | None, draft: bool
) -> list[Fault]:
    """Return all faults of a ranking, each with its place."""
    rows = session.execute(
        select(Program.id, Program.grade, Offering.status)
        .outerjoin(Offering, and_(Offering.program_id == Program.id, Offering.cycle_id == cycle))
        .where(Program.id.in_(programs))
    )
    known = {program: KnownProgram(program_grade, status == "in") for program, program_grade, status in rows}
    return faults_of(programs, known, grade=grade, max_ranks=max_ranks, draft=draft)


def faults_of(
    programs: Sequence[str],
    known: Mapping[str, KnownProgram],
    *,
    grade: str,
    max_ranks: int | None,
    draft: bool,
) -> list[Fault]:
    """Return all faults of a ranking, each with its place, given the ranked programs that exist."""
    faults = [
        fault
        for place, program in enumerate(programs)
        if (fault := _fault_at(place, program, programs[:place], known.get(program), grade))
    ]
    if max_ranks is not None and len(programs) > max_ranks:
        detail = sentence("lists {number} programs; a ranking in this cycle can have at most {most}")
        faults.append(Fault("/programs", "too-many", detail, {"number": len(programs), "most": max_ranks}))
    if not programs and not draft:
        detail = sentence("must list at least one program; to withdraw the ranking, use DELETE")
        faults.append(Fault("/programs", "empty", detail))
    return faults


def _fault_at(place: int, program: str, earlier: Sequence[str], known: KnownProgram | None, grade: str) -> Fault | None:
    pointer, values = f"/programs/{place}", {"program": program}
    if program in earlier:
        return Fault(pointer, "repeated", sentence("repeats {program}; list each program once"), values)
    if known is None:
        return Fault(pointer, "unknown-program", sentence("{program} is not a program in the directory"), values)
    if known.grade != grade:
        detail = sentence("{program} is for grade {program_grade}, but the child applies for grade {grade}")
        return Fault(pointer, "other-grade", detail, {**values, "program_grade": known.grade, "grade": grade})
    if not known.takes_part:
        detail = sentence("{program} does not take part in this cycle")
        return Fault(pointer, "not-taking-part", detail, values)
    return None
