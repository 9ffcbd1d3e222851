"""Rows of a small city, put into the tables directly, for tests of what is built on them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.database import clock
from enrollment.directory.models import Offering, Operator, Participation, Program, School
from enrollment.rules.models import ProgramRules
from lottery.market.canonical import Json

GRADES = ["PK4", "KG", "01", "02"]


def add_cycle(session: Session, cycle: str = "2027", **changes: object) -> Cycle:
    """Add a cycle that is open now, by the database's clock, with its deadline a day away."""
    now = clock(session)
    row = Cycle(
        id=cycle,
        name=f"School year {cycle}",
        grades=GRADES,
        time_zone="America/New_York",
        opens_at=now - timedelta(days=1),
        deadline=now + timedelta(days=1),
        agreement_version="1",
        agreement="Schools take part under their own rules.",
        school_facts=["sibling", "staff_child"],
        child_facts=["ell", "frl"],
        sibling_order=[],
        tie_break="single",
        late="after",
        twins="separate",
        silence="decline",
        version=1,
    )
    for name, value in changes.items():
        setattr(row, name, value)
    session.add(row)
    session.flush()
    return row


def add_school(session: Session, school: str, *, operator: str = "district", grades: Sequence[str] = ("KG",)) -> None:
    """Add a school with one program a grade: `lincoln-kg`; and its operator, if it is new."""
    if session.get(Operator, operator) is None:
        session.add(Operator(id=operator, name=operator.title()))
        session.flush()
    session.add(School(id=school, operator_id=operator, name=school.title(), sector="district"))
    session.flush()
    for grade in grades:
        session.add(Program(id=program_of(school, grade), school_id=school, grade=grade, name=f"{school} {grade}"))
    session.flush()


def program_of(school: str, grade: str) -> str:
    """Return the id of a school's program at a grade."""
    return f"{school}-{grade.lower()}"


def offer(
    session: Session,
    school: str,
    *,
    cycle: str = "2027",
    grade: str = "KG",
    seats: int = 2,
    rules: Mapping[str, Json] | None = None,
) -> str:
    """Have a school take part with a grade; `rules` are further parts of the market form. Return the program's id."""
    program = program_of(school, grade)
    market: dict[str, Json] = {"id": program, "school": school, "grade": grade, "seats": seats, **(rules or {})}
    session.add(
        Participation(
            cycle_id=cycle, school_id=school, grade=grade, status="in", agreement_version="1", actor="staff:school"
        )
    )
    session.add(
        Offering(
            cycle_id=cycle,
            program_id=program,
            school_id=school,
            grade=grade,
            status="in",
            rules_version=1,
            seats=seats,
        )
    )
    session.flush()
    session.add(
        ProgramRules(
            cycle_id=cycle,
            program_id=program,
            version=1,
            rules={"seats": {"match": seats, "enrollment": None}},
            came_from={"seats": "program"},
            market=market,
            leaf_hash=b"\0" * 32,
            actor="staff:school",
            at=datetime.now(UTC),
        )
    )
    session.flush()
    return program
