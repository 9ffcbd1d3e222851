"""Acts on seats at the same time, and stories of faults that random acts once found."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import httpx2
import pytest
from sqlalchemy import text

from enrollment.database import transaction
from enrollment.seats.offers import expire_due
from races import until_somebody_waits
from rounds_by_hand import CYCLE, DICE
from seat_invariants import (
    each_child_has_at_most_one_seat,
    every_move_has_a_reason,
    ledger_is_settled,
    log_and_tables_agree,
    seats_add_up,
    waitlists_match_rankings,
)
from seat_races import answer, decline, live_offers, movers, open_seats_for_children_at_adams, publish, until_matched
from spring_city import Spring
from summer_city import (
    REASON,
    Offered,
    Summer,
    another_summer,
    placement_of,
)


def check_everything(summer: Summer) -> None:
    """Check everything that must hold, after expiries, the log and waitlists are brought up to date."""
    summer.service.sequence()
    summer.service.sequence()
    with transaction(summer.service.sessions) as session:
        each_child_has_at_most_one_seat(session)
        seats_add_up(session)
        log_and_tables_agree(session)
        waitlists_match_rankings(session)


def ledger(summer: Summer, program: str) -> dict[int, tuple[str, str, str | None]]:
    """Return a program's vacancies by number: group, status, and why."""
    asked = "SELECT number, seat_group, status, why FROM vacancy WHERE program_id = :program ORDER BY number"
    return {
        row["number"]: (row["seat_group"], row["status"], row["why"]) for row in summer.rows(asked, program=program)
    }


def at_once(*acts: Callable[[], httpx2.Response | None]) -> list[httpx2.Response | None]:
    """Run acts at the same time, and return their answers."""
    ready = Barrier(len(acts))

    def act(one: Callable[[], httpx2.Response | None]) -> httpx2.Response | None:
        ready.wait()
        return one()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def test_two_workers_expire_the_same_offers_only_once(summer: Summer) -> None:
    silent = [offer for offer in live_offers(summer) if offer.status == "open"]
    summer.write("UPDATE offer SET answer_by = made_at WHERE status = 'open'")
    sessions = summer.service.sessions
    at_once(lambda: expire_due(sessions), lambda: expire_due(sessions))
    assert len(silent) > 5
    causes = Counter(row["cause"] for row in summer.rows("SELECT cause FROM seat_change WHERE cause LIKE 'offer%'"))
    notices = summer.rows("SELECT FROM notice WHERE event = 'offer.expired'")
    opened = summer.rows("SELECT FROM vacancy WHERE opened_by = 'expired'")
    assert (causes, len(notices), len(opened)) == ({"offer.expire": len(silent)}, len(silent), len(silent))
    check_everything(summer)


def test_an_offer_is_accepted_or_expires_and_never_both(summer: Summer) -> None:
    sessions = summer.service.sessions
    for offer in [offer for offer in live_offers(summer) if offer.status == "open"]:

        def run_out(offer: Offered = offer) -> None:
            summer.write("UPDATE offer SET answer_by = made_at WHERE id = :id", id=offer.id)
            expire_due(sessions)

        accepted, _ = at_once(partial(answer, summer, offer, "accept"), run_out)
        assert accepted is not None
        (now,) = [one for one in summer.offers() if one.id == offer.id]
        told = (accepted.status_code, now.status)
        assert told in {(200, "accepted"), (409, "expired")}, accepted.text
    check_everything(summer)


def test_an_answer_that_waits_for_a_lock_is_checked_after_the_lock_is_granted(summer: Summer) -> None:
    offer = next(offer for offer in live_offers(summer) if offer.status == "open")
    with ThreadPoolExecutor(1) as pool:
        with transaction(summer.service.sessions) as session:
            session.execute(text("SELECT FROM child WHERE id = :id FOR UPDATE"), {"id": offer.child})
            accepted = pool.submit(answer, summer, offer, "accept")
            until_somebody_waits(summer.service)
            session.execute(text("UPDATE offer SET answer_by = made_at WHERE id = :id"), {"id": offer.id})
        told = accepted.result()
    assert (told.status_code, told.json()["code"]) == (409, "offer-ran-out")
    check_everything(summer)
    assert offer.id not in {one.id for one in live_offers(summer)}


def test_accepting_while_a_round_is_published_counts_for_the_higher_seat_or_is_refused(
    summer: Summer,
) -> None:
    open_seats_for_children_at_adams(summer)
    path = until_matched(summer)
    moving = [offer for offer in movers(summer, path) if offer.status == "open"][:4]
    assert moving
    answers = at_once(partial(publish, summer, path), *[partial(answer, summer, offer, "accept") for offer in moving])
    assert answers[0] is not None
    assert answers[0].status_code == 200, answers[0].text
    now = {offer.child: offer for offer in live_offers(summer)}
    for offer, accepted in zip(moving, answers[1:], strict=True):
        assert accepted is not None
        told = (accepted.status_code, now[offer.child].status)
        assert told in {(200, "accepted"), (409, "open")}, accepted.text
        assert now[offer.child].program != offer.program
    check_everything(summer)


def test_declining_while_a_round_is_frozen_counts_before_the_freeze_or_is_refused(summer: Summer) -> None:
    ann = summer.caller("ann")
    ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    path = "/v1/rounds/2027-backfill-1"
    offers = live_offers(summer)[:4]
    frozen, *declined = at_once(
        lambda: ann.post(f"{path}/freeze", {"dice_in_minutes": 0}),
        *[partial(answer, summer, offer, "decline") for offer in offers],
    )
    assert frozen is not None
    assert frozen.status_code == 200, frozen.text
    lines = " ".join(row["line"] for row in summer.rows("SELECT line FROM frozen_row WHERE round_id LIKE '%-1'"))
    held = {offer.child for offer in live_offers(summer)}
    assert lines.count('"holds":{') == len(held)
    for offer, told in zip(offers, declined, strict=True):
        assert told is not None
        assert (told.status_code, offer.child in held) in {(200, False), (409, True)}, told.text
    with transaction(summer.service.sessions) as session:
        seats_add_up(session)


def test_of_two_placements_to_the_last_free_seat_one_is_approved(summer: Summer) -> None:
    decline(summer, "adams-kg", 1)
    summer.write("UPDATE vacancy SET status = 'removed', why = 'a test' WHERE program_id <> 'adams-kg'")
    seatless = [child for child in summer.children() if child.seat_grade is None][:2]
    asked = [
        summer.caller("ann").post("/v1/placements", placement_of(child.ticket, "adams-kg")).json()["id"]
        for child in seatless
    ]
    answers = at_once(
        *[
            partial(summer.caller(who).post, f"/v1/placements/{placement}/approve", {"reason": REASON})
            for who, placement in zip(("bea", "cleo"), asked, strict=True)
        ]
    )
    codes = Counter(told.status_code for told in answers if told is not None)
    assert codes == {200: 1, 409: 1}
    assert [told.json()["code"] for told in answers if told and told.status_code == 409] == ["no-seat-free"]


def test_a_publication_that_loses_its_connection_changes_nothing_and_can_be_repeated(summer: Summer) -> None:
    decline(summer, "lincoln-kg", 3)
    path = until_matched(summer)
    before = summer.contents()
    with ThreadPoolExecutor(1) as pool, transaction(summer.service.sessions) as session:
        session.execute(text("SELECT FROM vacancy FOR UPDATE"))
        published = pool.submit(publish, summer, path)
        until_somebody_waits(summer.service)
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        told = published.result()
    assert not told.is_success
    assert summer.contents() == before
    summer.crash()
    assert publish(summer, path).status_code == 200
    with transaction(summer.service.sessions) as session:
        ledger_is_settled(session, path.rpartition("/")[2])
    check_everything(summer)


@pytest.mark.parametrize("program", ["charter-kg", "lincoln-kg"])
def test_a_round_for_one_seat_fills_only_that_seat(summer: Summer, program: str) -> None:
    # At Lincoln one of the free seats is an over-offer, which the round also takes out of the ledger.
    for offer in live_offers(summer, program):
        if offer.group == "open":
            answer(summer, offer, "decline")
    first, *_, last = [number for number, (group, *_) in ledger(summer, program).items() if group == "open"]
    path = until_matched(summer, {"program": program, "vacancy": last})
    assert publish(summer, path).status_code == 200
    now = ledger(summer, program)
    assert now[last][1] == "filled", now
    assert now[first][1] != "filled", now


def test_a_round_for_a_seat_that_was_taken_before_the_freeze_fills_no_other_seat(summer: Summer) -> None:
    decline(summer, "lincoln-kg", 3)
    first, *_ = [number for number, (group, *_) in ledger(summer, "lincoln-kg").items() if group == "open"]
    child = next(child for child in summer.children() if child.seat_grade is None)
    ann, bea = summer.caller("ann"), summer.caller("bea")
    ann.post(f"{CYCLE}/rounds", {"kind": "backfill", "seat": {"program": "lincoln-kg", "vacancy": first}})
    asked = ann.post("/v1/placements", placement_of(child.ticket, "lincoln-kg")).json()["id"]
    assert bea.post(f"/v1/placements/{asked}/approve", {"reason": REASON}).status_code == 200
    assert ledger(summer, "lincoln-kg")[first][1] == "filled"
    before = live_offers(summer)
    path = "/v1/rounds/2027-backfill-1"
    frozen = ann.post(f"{path}/freeze", {"dice_in_minutes": 0})
    if frozen.status_code == 200:
        ann.post(f"{path}/draw", {"dice": DICE} if frozen.json()["draws"] else {})
        ann.post(f"{path}/match")
        summer.service.run_job("match", "2027-backfill-1")
        publish(summer, path)
    assert live_offers(summer) == before


def test_every_move_on_a_waitlist_has_a_reason_even_in_reverse_order(summer: Summer) -> None:
    assert summer.rows("SELECT FROM waitlist_place WHERE program_id = 'charter-kg'")
    with transaction(summer.service.sessions) as session:
        every_move_has_a_reason(session)


def test_a_child_who_newly_meets_a_reserve_moves_up_with_reasons_for_every_move(summer: Summer) -> None:
    place = "SELECT place FROM waitlist_place WHERE program_id = 'lincoln-kg' AND seat_group = 'frl' AND child_id = :id"
    last = summer.rows(
        "SELECT a.reference, w.child_id, w.place FROM waitlist_place w JOIN applicant a ON a.child_id = w.child_id "
        "WHERE w.program_id = 'lincoln-kg' AND w.seat_group = 'frl' ORDER BY w.place DESC"
    )[0]
    made = summer.portal.post(f"{CYCLE}/applicants/{last['reference']}/claims", {"fact": "frl"}).json()["id"]
    assert (
        summer.caller("ann")
        .post(f"/v1/claims/{made}/approve", {"basis": "verified", "reason": "On our roll"})
        .status_code
        == 200
    )
    summer.service.sequence()
    assert summer.rows(place, id=last["child_id"])[0]["place"] < last["place"]
    with transaction(summer.service.sessions) as session:
        every_move_has_a_reason(session, program="lincoln-kg")


def test_no_seat_is_left_empty_as_nobody_waiting_while_a_child_waits(springs: Callable[[str], Spring]) -> None:
    spring = springs("fresh")
    with another_summer(spring.server, spring.database, spring.tokens) as summer:
        # Charter fills one seat in a round, and has a closed reserve for which nobody is left.
        for reference in ("child-01", "child-09"):
            assert summer.portal.delete(f"{CYCLE}/applicants/{reference}", "*").status_code == 204
        decline(summer, "charter-kg", 1)
        path = until_matched(summer)
        assert publish(summer, path).status_code == 200
        with transaction(summer.service.sessions) as session:
            ledger_is_settled(session, path.rpartition("/")[2])
