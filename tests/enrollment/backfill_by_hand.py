"""What tests of backfill rounds do with a published main round."""

from lottery.market.canonical import Json
from rounds_by_hand import CYCLE, City


def say(city: City, school: str, **parts: Json) -> None:
    """Have a school say its rules before the main round; an administrator approves them, as the cycle is open."""
    path = f"{CYCLE}/programs/{school}-kg/rules"
    office = city.lincoln if school == "lincoln" else city.adams
    own = office.get(path).json()["own"]
    changed = office.change(path, {"rules": {**own, **parts}, "reason": "As our board decided"})
    assert changed.status_code in (200, 202), changed.text
    for change in city.ann.get(f"{CYCLE}/rules-changes").json()["data"]:
        approved = city.ann.post(f"/v1/rules-changes/{change['id']}/approve", {"reason": "Looked at"})
        assert approved.status_code == 200, approved.text


def first_at(city: City, program: str) -> str:
    return next(reference for reference, its in sorted(city.seats().items()) if its == program)
