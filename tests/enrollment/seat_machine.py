"""Random acts of families on seats, as a state machine."""

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import httpx2
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from enrollment.database import transaction
from lottery.market.canonical import Json
from rounds_by_hand import CHILD, CYCLE
from seat_invariants import holders, waitlists_keep_the_draws_in_order, waitlists_match_rankings
from spring_city import Spring
from summer_city import PROGRAMS, Child, Offered, another_summer

SERVER_ERROR = 500
REFUSED = 400
VERIFIED: Json = {"basis": "verified", "reason": "On our roll"}

ANY = st.integers(0, 40)
"""An index, taken modulo the length of a list."""
SOME = st.sampled_from([1, 1, 2, 4])
RANKED = st.lists(st.sampled_from(PROGRAMS), min_size=1, max_size=3, unique=True)
Refusal = tuple[bool, str]
"""Whether a refusal applies, and its code."""


class FamilyActs(RuleBasedStateMachine):
    """Acts of families and of the clock, and how each is checked against the state before it."""

    def __init__(self, spring: Spring, unfinished: list[list[str]]) -> None:
        super().__init__()
        self._unfinished, self._story = unfinished, list[str]()
        unfinished.append(self._story)
        self._open = ExitStack()
        self.summer = self._open.enter_context(another_summer(spring.server, spring.database, spring.tokens))
        self.was = self.seats_now()
        self.gave_up: set[uuid.UUID] = set()
        """The children who gave up a seat in this step, or were placed outside the lottery."""

    def seats_now(self) -> dict[uuid.UUID, str]:
        with transaction(self.summer.service.sessions) as session:
            return holders(session)

    def do(self, act: Callable[[], httpx2.Response], done: int, *refusals: Refusal) -> bool:
        """Act, and compare the answer with the first refusal that applies. Return whether the act was done.

        A refused act has changed nothing.
        """
        before = self.summer.contents()
        answer = act()
        told = self.told(answer)
        assert answer.status_code < SERVER_ERROR, told
        if answer.status_code >= REFUSED:
            assert self.summer.contents() == before, told
        expected = next((code for stands, code in refusals if stands), None)
        if expected is None:
            assert answer.status_code == done, told
            return True
        assert answer.status_code >= REFUSED, (told, expected)
        assert answer.json()["code"] == expected, (told, expected)
        return False

    def told(self, answer: httpx2.Response) -> str:
        """Add an answer to the story, and return the answer in one line."""
        code = answer.json()["code"] if answer.status_code >= REFUSED else ""
        told = f"{answer.request.method} {answer.request.url.path} {answer.status_code} {code}"
        self._story.append(told)
        return told

    def child(self, which: int) -> Child:
        children = self.summer.children()
        return children[which % len(children)]

    def offer(self, status: str, which: int) -> Offered:
        """Return an offer of a status, or any offer if none has the status."""
        offers = self.summer.offers()
        found = [offer for offer in offers if offer.status == status] or offers
        return found[which % len(found)]

    def is_gone(self, offer: Offered) -> bool:
        return not any(child.live for child in self.summer.children() if child.id == offer.child)

    @rule(which=ANY, status=st.sampled_from(["open", "open", "accepted", "expired", "replaced"]), families=SOME)
    def families_accept(self, which: int, status: str, families: int) -> None:
        for _ in range(families):
            self.a_family_accepts(self.offer(status, which))

    def a_family_accepts(self, offer: Offered) -> None:
        self.do(
            lambda: self.summer.portal.post(f"/v1/offers/{offer.id}/accept"),
            200,
            (self.is_gone(offer), "not-found"),
            (not offer.is_live, "offer-answered"),
            (offer.status == "open" and offer.ran_out, "offer-ran-out"),
        )

    @rule(which=ANY, status=st.sampled_from(["open", "accepted", "accepted", "declined"]), families=SOME)
    def families_decline(self, which: int, status: str, families: int) -> None:
        first = self.offer(status, which)
        self.a_family_declines(first)
        others = [offer for offer in self.summer.offers() if offer.is_live and offer.program == first.program]
        for offer in others[: families - 1]:
            self.a_family_declines(offer)

    def a_family_declines(self, offer: Offered) -> None:
        if self.do(
            lambda: self.summer.portal.post(f"/v1/offers/{offer.id}/decline"),
            200,
            (self.is_gone(offer), "not-found"),
            (self.summer.running(), "round-running"),
            (not offer.is_live, "offer-answered"),
            (offer.status == "open" and offer.ran_out, "offer-ran-out"),
        ):
            self.gives_up(offer.child)

    def gives_up(self, child: uuid.UUID) -> None:
        self.gave_up.add(child)
        assert child not in self.seats_now()

    @rule(which=ANY)
    def the_time_to_answer_ends(self, which: int) -> None:
        offer = self.offer("open", which)
        self.summer.write("UPDATE offer SET answer_by = made_at WHERE id = :id AND status = 'open'", id=offer.id)

    @rule()
    def everything_is_looked_after(self) -> None:
        """Expire offers, sequence the log, and update waitlists, in two passes, because expiries are logged later."""
        running = self.summer.running()
        silent = {offer.child for offer in self.summer.offers() if offer.status == "open" and offer.ran_out}
        self.summer.service.sequence()
        self.summer.service.sequence()
        if running:
            assert silent <= self.seats_now().keys()
            return
        for child in silent:
            self.gives_up(child)
        with transaction(self.summer.service.sessions) as session:
            waitlists_match_rankings(session)
            waitlists_keep_the_draws_in_order(session)

    @rule(which=ANY)
    def a_family_withdraws(self, which: int) -> None:
        child = self.child(which)
        path = f"{CYCLE}/applicants/{child.reference}"
        seen = self.summer.portal.get(path).headers.get("ETag", "*")
        if self.do(
            lambda: self.summer.portal.delete(path, seen),
            204,
            (self.summer.running(), "round-running"),
            (not child.live, "not-found"),
        ):
            self.gives_up(child.id)

    @rule(which=ANY, programs=RANKED)
    def a_family_ranks_anew(self, which: int, programs: list[str]) -> None:
        child = self.child(which)
        path = f"{CYCLE}/applicants/{child.reference}"
        running = (self.summer.running(), "round-running")
        if not child.live:
            body: Json = {"grade": "KG", "child": CHILD}
            self.do(lambda: self.summer.portal.put(path, body), 200, running)
        self.do(
            lambda: self.summer.portal.put(f"{path}/ranking", {"programs": list(programs)}, "*"),
            200,
            running,
        )

    @rule(programs=RANKED)
    def a_new_child_applies(self, programs: list[str]) -> None:
        reference = f"new-{len(self.summer.children()):02}"
        body: Json = {"grade": "KG", "child": CHILD}
        path = f"{CYCLE}/applicants/{reference}"
        if self.do(lambda: self.summer.portal.put(path, body), 201, (self.summer.running(), "round-running")):
            self.do(lambda: self.summer.portal.put(f"{path}/ranking", {"programs": list(programs)}), 200)

    @rule(which=ANY, fact=st.sampled_from(["frl", "ell", "sibling"]))
    def a_claim_is_made_and_approved(self, which: int, fact: str) -> None:
        child = self.child(which)
        claims = f"{CYCLE}/applicants/{child.reference}/claims"
        school = "lincoln" if fact == "sibling" else None
        made = self.summer.rows(
            "SELECT FROM claim c JOIN applicant a ON a.id = c.applicant_id WHERE a.reference = :who AND fact = :fact",
            who=child.reference,
            fact=fact,
        )
        self.do(
            lambda: self.summer.portal.post(claims, {"fact": fact, "school": school}),
            201,
            (self.summer.running(), "round-running"),
            (not child.live, "not-found"),
            (bool(made), "claimed-already"),
        )
        for claim in self.summer.rows("SELECT id FROM claim WHERE status = 'pending'"):
            self.do(partial(self.summer.caller("ann").post, f"/v1/claims/{claim['id']}/approve", VERIFIED), 200)

    @rule(which=ANY, program=st.sampled_from(PROGRAMS))
    def a_family_leaves_a_waitlist(self, which: int, program: str) -> None:
        child = self.child(which)
        self.do(
            lambda: self.summer.portal.delete(f"{CYCLE}/applicants/{child.reference}/waitlists/{program}"),
            204,
            (self.summer.running(), "round-running"),
            (not child.live, "not-found"),
            (program not in child.ranked or self.seats_now().get(child.id) == program, "not-found"),
        )
