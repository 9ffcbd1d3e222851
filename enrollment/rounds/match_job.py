"""Match a drawn round in a job: match, verify, check, and store the outcome or a complaint.

The fast engine matches. The verifier compares the outcome with the outcome of the reference engine, byte for byte. If
the two differ, the round is not matched and cannot be published.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session, sessionmaker

from enrollment.audit.log import append
from enrollment.database import clock, copy_rows, transaction
from enrollment.failures import Breakage
from enrollment.jobs import enqueue, is_waiting
from enrollment.problems import Conflict, sentence
from enrollment.rounds.audit_files import OUTCOME, manifest
from enrollment.rounds.frozen_market import frozen_market, submitted_rankings
from enrollment.rounds.gates import Matched, check_gates
from enrollment.rounds.locks import lock_round, read_round, refuse_other_state
from enrollment.rounds.models import CutoffRow, Placed, Round, WaitingPlace
from enrollment.rounds.seeds import seeds_before
from lottery.engines import Engine, match_market
from lottery.explain.report import Report, as_submitted, placed_in_class, report
from lottery.market.canonical import Json
from lottery.market.json_reader import UnusableInput
from lottery.market.model import Market
from lottery.market.outcome import Outcome, last_document
from lottery.match.verify import verify

MATCH = "match"
"""The name of the job."""

COMPRESSION_LEVEL = 6
"""For zlib. An outcome is mostly hex, so a higher level does not make it smaller."""

MAX_COMPLAINTS = 20


class MatchUnderWay(Conflict):
    """The match was asked for and is not finished."""

    title = sentence("Match in progress")
    detail = sentence("The match of this round has started. GET /v1/rounds/{round} shows when the round is matched.")


def ask_for_match(session: Session, round_: Round, *, staff: str) -> None:
    """Have a worker match a drawn round. The administrator who asks cannot publish the round.

    Raises:
        OtherState: if the round is not drawn, or is already matched.
        MatchUnderWay: if the match was asked for and is not finished.
    """
    refuse_other_state(round_, "drawn")
    if is_waiting(session, MATCH, round_.id):
        raise MatchUnderWay(round=round_.id)
    round_.asked_by, round_.asked_at, round_.complaint = staff, clock(session), None
    session.flush()
    enqueue(session, MATCH, round_.id)


def match_round(sessions: "sessionmaker[Session]", round_id: str) -> None:
    """Match a round, unless it is already matched or void: a job may run twice.

    The frozen bytes cannot change, so the match and the checks need no lock. Only the last step, storing, locks the
    round, so that acts on the cycle do not wait long.
    """
    try:
        with transaction(sessions) as session:
            round_ = read_round(session, round_id)
            if round_.state != "drawn" or round_.seed is None:
                return
            market, seeds = frozen_market(session, round_), seeds_before(session, round_)
            seed = round_.seed
        outcome = match_market(market, seed=seed, seeds=seeds, engine=Engine.FAST)
    except UnusableInput as refusal:
        _complain(sessions, round_id, str(refusal))
    else:
        store_if_right(sessions, round_id, market, outcome, seeds)


def give_up_match(sessions: "sessionmaker[Session]", round_id: str, breakage: Breakage) -> None:
    """Store a complaint after the last try failed. An administrator can ask for the match again."""
    _complain(sessions, round_id, f"The match failed, and every retry failed too: {breakage}")


def store_if_right(
    sessions: "sessionmaker[Session]", round_id: str, market: Market, outcome: Outcome, seeds: Mapping[str, bytes]
) -> None:
    """Verify an outcome with a second match, and store the outcome or the complaints."""
    complaints = verify(market, outcome, seeds=seeds)
    if complaints:
        _complain(sessions, round_id, "; ".join(str(complaint) for complaint in complaints[:MAX_COMPLAINTS]))
        return
    with transaction(sessions) as session:
        findings = findings_of(session, Matched(read_round(session, round_id), market, outcome, seeds))
    with transaction(sessions) as session:
        round_ = lock_round(session, round_id)
        if round_.state == "drawn":
            store(session, Matched(round_, market, outcome, seeds), findings)


def _complain(sessions: "sessionmaker[Session]", round_id: str, complaint: str) -> None:
    with transaction(sessions) as session:
        round_ = lock_round(session, round_id)
        if round_.state == "drawn":
            round_.complaint = complaint


@dataclass(frozen=True, slots=True)
class Findings:
    """What to store for an outcome, apart from waitlists and cutoffs."""

    placed: Sequence[Sequence[object]]
    compressed: bytes
    manifest: dict[str, Json]
    report: dict[str, Json]
    gates: list[dict[str, Json]]


def findings_of(session: Session, matched: Matched) -> Findings:
    """Work out what to store for an outcome. This takes long and needs no lock, because the round is frozen."""
    round_, outcome = matched.round, matched.outcome
    raw = outcome.to_bytes()
    submitted = submitted_rankings(session, round_)
    return Findings(
        placed=[
            (round_.id, placed.placement.applicant, placed.placement.program, placed.placement.group,
             as_submitted(placed.placement, submitted).choice, placed.priority_class)
            for placed in placed_in_class(matched.market, outcome, seeds=matched.seeds)
        ],
        compressed=zlib.compress(raw, COMPRESSION_LEVEL),
        manifest=manifest(session, round_, raw),
        report=report_document(report(matched.market, outcome, seeds=matched.seeds, submitted=submitted)),
        gates=check_gates(session, matched),
    )  # fmt: skip


def store(session: Session, matched: Matched, findings: Findings) -> None:
    """Store an outcome, its rows, its report and its checks for a locked round, and append the result to the log."""
    round_, outcome, files = matched.round, matched.outcome, findings.manifest
    columns = ["round_id", "tag", "program_id", "seat_group", "choice", "priority_class"]
    copy_rows(session, Placed, columns, findings.placed)
    copy_rows(
        session, WaitingPlace, ["round_id", "program_id", "seat_group", "place", "tag"], _waiting(round_, outcome)
    )
    session.add_all(_cutoffs(round_, outcome))
    now = clock(session)
    round_.outcome = findings.compressed
    round_.outcome_digest = str(files[OUTCOME])
    round_.report, round_.gates = findings.report, findings.gates
    round_.matched_at, round_.state = now, "matched"
    round_.result_leaf = append(
        session,
        "round.result",
        cycle=round_.cycle_id,
        actor="service",
        fields={
            "round": round_.id,
            "freeze": (round_.freeze_leaf or b"").hex(),
            "seed": outcome.seed,
            "manifest": files,
            "engines": [Engine.FAST.value, Engine.REFERENCE.value],
        },
    )
    session.flush()


def _waiting(round_: Round, outcome: Outcome) -> Iterator[Sequence[object]]:
    for waitlist in outcome.waitlists:
        for place, ticket in enumerate(waitlist.applicants, start=1):
            yield round_.id, waitlist.program, waitlist.group, place, ticket


def _cutoffs(round_: Round, outcome: Outcome) -> Iterator[CutoffRow]:
    waiting = {(waitlist.program, waitlist.group): len(waitlist.applicants) for waitlist in outcome.waitlists}
    for cutoff in outcome.cutoffs:
        yield CutoffRow(
            round_id=round_.id,
            program_id=cutoff.program,
            seat_group=cutoff.group,
            seats=cutoff.seats,
            filled=cutoff.filled,
            waiting=waiting.get((cutoff.program, cutoff.group), 0),
            last=last_document(cutoff.last),
        )


def report_document(totals: Report) -> dict[str, Json]:
    """Write a report as JSON. In `by_choice`, the choice None counts held seats that were not ranked."""
    return {
        "applicants": totals.applicants,
        "placed": totals.placed,
        "unplaced": totals.unplaced,
        "without_ranking": totals.without_ranking,
        "seats": totals.seats,
        "filled": totals.filled,
        "by_choice": [{"choice": choice, "applicants": number} for choice, number in totals.by_choice],
        "by_grade": [asdict(count) for count in totals.by_grade],
        "by_class": [{"seat": kind, "class": name, "applicants": number} for kind, name, number in totals.by_class],
        "demand": [asdict(demand) for demand in totals.demand],
    }
