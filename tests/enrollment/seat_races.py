"""Acts on seats for tests of races."""

from collections.abc import Callable

import httpx2

from lottery.market.canonical import Json
from rounds_by_hand import CYCLE, DICE
from summer_city import (
    Offered,
    Summer,
)


def live_offers(summer: Summer, program: str | None = None) -> list[Offered]:
    return [offer for offer in summer.offers() if offer.is_live and program in (None, offer.program)]


def answer(summer: Summer, offer: Offered, how: str) -> httpx2.Response:
    return summer.portal.post(f"/v1/offers/{offer.id}/{how}")


def decline(summer: Summer, program: str, number: int) -> None:
    """Let a number of families decline their seats at a program."""
    for offer in live_offers(summer, program)[:number]:
        assert answer(summer, offer, "decline").status_code == 200


def until_matched(summer: Summer, seat: Json = None, *, between: Callable[[], None] = lambda: None) -> str:
    """Run a backfill round until it is matched, with an act before the freeze. Return the path of the round."""
    ann = summer.caller("ann")
    made = ann.post(f"{CYCLE}/rounds", {"kind": "backfill", "seat": seat})
    assert made.status_code == 201, made.text
    path = f"/v1/rounds/{made.json()['id']}"
    between()
    frozen = ann.post(f"{path}/freeze", {"dice_in_minutes": 0})
    assert frozen.status_code == 200, frozen.text
    assert ann.post(f"{path}/draw", {"dice": DICE} if frozen.json()["draws"] else {}).status_code == 200
    assert ann.post(f"{path}/match").status_code == 202
    summer.service.run_job("match", made.json()["id"])
    return path


def publish(summer: Summer, path: str) -> httpx2.Response:
    return summer.caller("bea").post(f"{path}/publish")


def movers(summer: Summer, path: str) -> list[Offered]:
    """Return the offers of children who get a higher choice in a matched round."""
    asked = """
        SELECT c.id, p.program_id FROM placement p JOIN child c ON encode(c.tag, 'hex') = p.tag
        WHERE p.round_id = :round
    """
    placed = {row["id"]: row["program_id"] for row in summer.rows(asked, round=path.rpartition("/")[2])}
    return [offer for offer in live_offers(summer) if placed[offer.child] != offer.program]


def open_seats_for_children_at_adams(summer: Summer) -> None:
    """Open seats at Lincoln for which only children with seats wait, among them all children at Adams."""
    decline(summer, "lincoln-kg", 3)
    for child in summer.children():
        path = f"{CYCLE}/applicants/{child.reference}/ranking"
        if child.seat_grade is None and child.ranked:
            assert summer.portal.delete(path, "*").status_code == 200
    for offer in live_offers(summer, "adams-kg"):
        path = f"{CYCLE}/applicants/{offer.reference}/ranking"
        assert summer.portal.put(path, {"programs": ["lincoln-kg", "adams-kg"]}, "*").status_code == 200
