"""Name programs as families know them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.directory.models import Program, School


@dataclass(frozen=True, slots=True)
class ProgramName:
    """A program's name and its school."""

    program: str
    program_name: str
    school: str
    school_name: str

    @property
    def for_families(self) -> str:
        """Return the program's name with the school's name, unless the program's name has it already."""
        return name_for_families(self.program_name, self.school_name)


def name_for_families(program_name: str, school_name: str) -> str:
    """Return a program's name with the school's name, unless the program's name has it already."""
    if school_name.casefold() in program_name.casefold():
        return program_name
    return f"{school_name}, {program_name}"


def names_of_programs(session: Session, programs: Collection[str]) -> Mapping[str, ProgramName]:
    """Return the names of programs, by id, in the order of their ids."""
    rows = session.execute(
        select(Program.id, Program.name, School.id, School.name)
        .join(School, School.id == Program.school_id)
        .where(Program.id.in_(programs))
        .order_by(Program.id)
    )
    return {row[0]: ProgramName(*row) for row in rows}
