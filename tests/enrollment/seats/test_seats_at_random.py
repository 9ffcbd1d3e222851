"""Random acts on seats in any order, with crashes in between, keep everything that must hold of seats."""

from collections.abc import Callable, Mapping
from functools import partial

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test
from sqlalchemy import RowMapping

from enrollment.database import transaction
from lottery.market.canonical import Json
from rounds_by_hand import CYCLE
from seat_invariants import (
    each_child_has_at_most_one_seat,
    every_move_has_a_reason,
    holders,
    ledger_is_settled,
    log_and_tables_agree,
    moved_up,
    seats_add_up,
    waitlists_match_their_history,
)
from seat_machine import ANY, REFUSED, SERVER_ERROR, FamilyActs
from spring_city import Spring
from summer_city import LINCOLN, PROGRAMS, REASON, placement_of

EXAMPLES = 8
STEPS = 40

DIGITS = st.text("0123456789", min_size=20, max_size=24)
NEXT: Mapping[str, str] = {"open": "freeze", "frozen": "draw", "drawn": "match", "matched": "publish"}


class Seats(FamilyActs):
    """A summer: families, schools, administrators and the clock act in any order."""

    def __init__(self, spring: Spring, unfinished: list[list[str]]) -> None:
        super().__init__(spring, unfinished)
        self.rules_of_lincoln = LINCOLN[0]

    def teardown(self) -> None:
        try:
            self.everything_is_looked_after()
            self.what_must_hold()
            self._unfinished.remove(self._story)
        finally:
            self._open.close()

    def placements(self) -> list[RowMapping]:
        return list(self.summer.rows("SELECT * FROM outside_placement ORDER BY asked_at DESC"))

    @rule(
        which=ANY,
        program=st.sampled_from(PROGRAMS),
        group=st.sampled_from(["open", "open", "frl", "ell"]),
        approver=st.sampled_from([None, "ann", "bea", "bea"]),
        beyond=st.booleans(),
    )
    def a_placement_outside_is_asked_for(
        self, which: int, program: str, group: str, approver: str | None, *, beyond: bool
    ) -> None:
        child = self.child(which)
        (market,) = self.summer.rows(
            "SELECT r.market FROM program_rules r JOIN offering o ON o.program_id = r.program_id "
            "AND o.rules_version = r.version WHERE r.program_id = :program",
            program=program,
        )
        unfit = (
            not child.live or self.seats_now().get(child.id) == program or group not in market["market"]["precedence"]
        )
        body = placement_of(child.ticket, program, group, beyond=beyond)
        if (
            self.do(
                lambda: self.summer.caller("ann").post("/v1/placements", body),
                202,
                (self.summer.running(), "round-running"),
                (unfit, "placement-refused"),
                (
                    child.id in {one["child_id"] for one in self.placements() if one["status"] == "asked"},
                    "placement-asked",
                ),
            )
            and approver
        ):
            self.approve(next(one for one in self.placements() if one["status"] == "asked"), approver)

    @rule(which=ANY, who=st.sampled_from(["ann", "bea", "bea"]))
    def a_placement_outside_is_approved(self, which: int, who: str) -> None:
        placements = [one for one in self.placements() if one["status"] == "asked"] or self.placements()
        self.approve(placements[which % len(placements)], who)

    def approve(self, placement: RowMapping, who: str) -> None:
        (child,) = [one for one in self.summer.children() if one.id == placement["child_id"]]
        market = self.summer.rows(
            "SELECT r.market FROM program_rules r JOIN offering o ON o.program_id = r.program_id "
            "AND o.rules_version = r.version WHERE r.program_id = :program",
            program=placement["program_id"],
        )[0]["market"]
        free = self.summer.rows(
            "SELECT FROM vacancy WHERE program_id = :program AND status IN ('open', 'left-empty')",
            program=placement["program_id"],
        )
        if self.do(
            lambda: self.summer.caller(who).post(f"/v1/placements/{placement['id']}/approve", {"reason": REASON}),
            200,
            (self.summer.running(), "round-running"),
            (placement["status"] != "asked", "placement-decided"),
            (placement["asked_by"] == who, "own-placement"),
            (not child.live or self.seats_now().get(child.id) == placement["program_id"], "placement-refused"),
            (placement["seat_group"] not in market["precedence"], "placement-refused"),
            (not free and not placement["beyond_seats"], "no-seat-free"),
        ):
            self.gave_up.add(child.id)
            assert self.seats_now()[child.id] == placement["program_id"]

    @rule(which=ANY)
    def a_placement_outside_is_refused(self, which: int) -> None:
        placements = [one for one in self.placements() if one["status"] == "asked"] or self.placements()
        placement = placements[which % len(placements)]
        self.do(
            lambda: self.summer.caller("ann").post(f"/v1/placements/{placement['id']}/refuse", {"reason": REASON}),
            200,
            (self.summer.running(), "round-running"),
            (placement["status"] != "asked", "placement-decided"),
        )

    @rule(said=st.sampled_from(LINCOLN))
    def lincoln_changes_its_rules(self, said: Json) -> None:
        body: Json = {"rules": said, "reason": REASON}
        proposes = said != self.rules_of_lincoln  # the rules in force, sent back, change nothing
        if self.do(
            lambda: self.summer.caller("lincoln").change(f"{CYCLE}/programs/lincoln-kg/rules", body),
            202 if proposes else 200,
            (self.summer.running(), "round-running"),
        ):
            self.rules_of_lincoln = said
        for change in self.summer.caller("ann").get(f"{CYCLE}/rules-changes").json()["data"]:
            path = f"/v1/rules-changes/{change['id']}/approve"
            self.do(partial(self.summer.caller("ann").post, path, {"reason": REASON}), 200)

    @rule(which=ANY, steps=st.sampled_from([0, 1, 4, 4]), dice=DIGITS)
    def a_round_for_one_seat_is_made(self, which: int, steps: int, dice: str) -> None:
        ledger = self.summer.rows(
            "SELECT * FROM vacancy ORDER BY status NOT IN ('open', 'left-empty'), program_id DESC, number DESC"
        )
        if ledger and self.make_round(ledger[which % len(ledger)]):
            self.the_round_goes_on(steps, dice)

    def make_round(self, seat: RowMapping | None) -> bool:
        body: dict[str, Json] = {"kind": "backfill"}
        if seat is not None:
            body["seat"] = {"program": seat["program_id"], "vacancy": seat["number"]}
        return self.do(
            lambda: self.summer.caller("ann").post(f"{CYCLE}/rounds", body),
            201,
            (self.summer.round_now() is not None, "another-round"),
            (seat is not None and seat["status"] not in ("open", "left-empty"), "seat-not-free"),
        )

    @rule(steps=st.integers(1, 4), dice=DIGITS)
    def the_round_goes_on(self, steps: int, dice: str) -> None:
        for _ in range(steps):
            round_ = self.summer.round_now()
            if round_ is None:
                self.make_round(None)
            else:
                self.step(NEXT[round_["state"]], "bea" if round_["state"] == "matched" else "ann", dice)

    @rule(dice=DIGITS)
    def a_whole_round_is_run(self, dice: str) -> None:
        self.the_round_goes_on(1 + len(NEXT), dice)

    @rule(step=st.sampled_from([*NEXT.values()]), who=st.sampled_from(["ann", "bea"]), dice=DIGITS)
    def somebody_takes_any_step(self, step: str, who: str, dice: str) -> None:
        self.step(step, who, dice)

    def step(self, step: str, who: str, dice: str) -> None:
        """Take a step of the newest round, even if another step comes next."""
        round_ = self.summer.rows("SELECT * FROM round ORDER BY made_at DESC")[0]
        path = f"/v1/rounds/{round_['id']}/{step}"
        bodies: Mapping[str, Json] = {
            "freeze": {"dice_in_minutes": 0},
            "draw": {"dice": dice} if round_["draws"] else {},
        }
        refusals = [(NEXT.get(round_["state"]) != step, "other-state")]
        if step == "freeze" and round_["only_program"] and self._is_filled(round_):
            # The seat that it is for was taken in the meantime: refused, or a round in which nobody comes.
            self.do_either(lambda: self.summer.caller(who).post(path, bodies[step]))
            return
        if step == "publish":
            refusals.append((round_["asked_by"] == who, "second-person-needed"))
        if self.do(
            lambda: self.summer.caller(who).post(path, bodies.get(step)), 202 if step == "match" else 200, *refusals
        ):
            if step == "match":
                self.summer.service.run_job("match", round_["id"])
            if step == "publish":
                self.published(round_["id"])

    def do_either(self, act: Callable[[], httpx2.Response]) -> None:
        before = self.summer.contents()
        answer = act()
        told = self.told(answer)
        assert answer.status_code < SERVER_ERROR, told
        assert answer.status_code < REFUSED or self.summer.contents() == before, told

    def _is_filled(self, round_: RowMapping) -> bool:
        (seat,) = self.summer.rows(
            "SELECT status FROM vacancy WHERE program_id = :program AND number = :number",
            program=round_["only_program"],
            number=round_["only_vacancy"],
        )
        return seat["status"] not in ("open", "left-empty")

    def published(self, round_: str) -> None:
        """Check that the round took no seat away, and moved no child to a lower choice."""
        children = {child.id: child for child in self.summer.children()}
        now = self.seats_now()
        for child, program in self.was.items():
            assert now.get(child) == program or moved_up(children[child], was=program, became=now[child])
        self.was = now
        with transaction(self.summer.service.sessions) as session:
            ledger_is_settled(session, round_)

    @rule(both=st.booleans())
    def a_running_round_is_made_void(self, *, both: bool) -> None:
        round_ = self.summer.rows("SELECT * FROM round ORDER BY made_at DESC")[0]
        asked = round_["void_asked_by"]
        for who in ("ann", "bea") if both else ("ann",):
            if self.do(
                partial(self.summer.caller(who).post, f"/v1/rounds/{round_['id']}/void", {"reason": REASON}),
                202,
                (round_["state"] in ("published", "void"), "other-state"),
                (asked == who, "second-person-needed"),
            ):
                asked = asked or who

    @rule()
    def the_process_dies(self) -> None:
        before = self.summer.contents()
        self.summer.crash()
        assert self.summer.contents() == before

    @invariant()
    def what_must_hold(self) -> None:
        with transaction(self.summer.service.sessions) as session:
            each_child_has_at_most_one_seat(session)
            seats_add_up(session)
            log_and_tables_agree(session)
            waitlists_match_their_history(session)
            now = holders(session)
            for child, program in self.was.items():
                assert child in self.gave_up or now.get(child) == program, (child, program, now.get(child))
            self.was, self.gave_up = now, set()
            every_move_has_a_reason(session)


@pytest.mark.parametrize("order", ["reverse", "fresh"])
def test_no_seat_is_lost_or_given_twice_in_any_order_of_acts(springs: Callable[[str], Spring], order: str) -> None:
    spring, unfinished = springs(order), list[list[str]]()

    class Here(Seats):
        def __init__(self) -> None:
            super().__init__(spring, unfinished)

    try:
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=EXAMPLES,
                phases=[Phase.generate],
                database=None,
                stateful_step_count=STEPS,
                deadline=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
                report_multiple_bugs=False,
            ),
        )
    except BaseException as failure:
        # Numbers are drawn anew in each run, so Hypothesis may not come to the same again, and makes nothing shorter.
        failure.add_note("What was done, as it was answered:\n" + "\n".join(unfinished[0] if unfinished else []))
        raise
