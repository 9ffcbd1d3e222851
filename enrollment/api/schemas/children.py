"""Children in answers to callers who may know their names."""

from datetime import date

from enrollment.applicants.models import Person
from enrollment.field_types import Wire


class ChildOut(Wire):
    """The child, as stored."""

    given_name: str
    family_name: str
    birth_date: date


def show_child(person: Person) -> ChildOut:
    """Show a child's name and birth date."""
    return ChildOut(given_name=person.given_name, family_name=person.family_name, birth_date=person.birth_date)
