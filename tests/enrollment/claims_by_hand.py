"""Make and decide claims."""

from lottery.market.canonical import Json
from people import Caller
from rounds_by_hand import CYCLE

YES: Json = {"basis": "verified", "reason": "On our roll"}


def claim(partner: Caller, fact: str, school: str | None, reference: str = "child-00") -> str:
    made = partner.post(f"{CYCLE}/applicants/{reference}/claims", {"fact": fact, "school": school})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])
