"""Match a drawn round on its frozen bytes, as a job: match, verify, look at gates; store all of it, or a complaint.

The fast engine matches, and the verifier holds its outcome against what the reference engine gives, byte for byte: a
round on which the two differ is not matched, so it cannot be published.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session, sessionmaker

from enrollment.audit.log import append
from enrollment.database import clock, copy_rows, transaction
from enrollment.failures import Breakage
from enrollment.rounds.audit_files import manifest, seeds_before
from enrollment.rounds.freeze import frozen_market
from enrollment.rounds.gates import Matched, look_at_gates
from enrollment.rounds.locks import lock_round, read_round
from enrollment.rounds.models import CutoffRow, Placed, Round, WaitingPlace
from lottery.engines import Engine, match_market
from lottery.explain.report import Report, placed_in_class, report
from lottery.market.canonical import Json
from lottery.market.json_reader import UnusableInput
from lottery.market.model import Market
from lottery.market.outcome import Outcome, last_document
from lottery.match.verify import verify

FAST_ENOUGH = 6
"""zlib's level: an outcome is hex for the most part, and more effort does not make it smaller."""

MAX_COMPLAINTS = 20


def match_round(sessions: "sessionmaker[Session]", round_id: str) -> None:
    """Match a round. Where it was matched, or is void, there is nothing to do; a job that is begun again ends here.

    Nothing is locked while it is matched: the bytes cannot change. What there is to store is worked out without a lock
    too. Only the writing locks the round, and no act on the cycle waits longer than for that.
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
    """Leave a complaint where a match broke off at its last try; an administrator may ask for it again."""
    _complain(sessions, round_id, f"the match broke off, and so did every further try: {breakage}")


def store_if_right(
    sessions: "sessionmaker[Session]", round_id: str, market: Market, outcome: Outcome, seeds: Mapping[str, bytes]
) -> None:
    """Verify an outcome of a drawn round, which matches it a second time, and store it, or what is wrong with it."""
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
    """What there is to store of an outcome, besides its waitlists and cutoffs."""

    placed: Sequence[Sequence[object]]
    compressed: bytes
    manifest: dict[str, Json]
    report: dict[str, Json]
    gates: list[dict[str, Json]]


def findings_of(session: Session, matched: Matched) -> Findings:
    """Work out what there is to store of an outcome; it takes long, and locks nothing: the round is frozen."""
    round_, outcome = matched.round, matched.outcome
    raw = outcome.to_bytes()
    return Findings(
        placed=[
            (round_.id, one.placement.applicant, one.placement.program, one.placement.group, one.placement.choice,
             one.priority_class)
            for one in placed_in_class(matched.market, outcome, seeds=matched.seeds)
        ],
        compressed=zlib.compress(raw, FAST_ENOUGH),
        manifest=manifest(session, round_, raw),
        report=report_document(report(matched.market, outcome, seeds=matched.seeds)),
        gates=look_at_gates(session, matched),
    )  # fmt: skip


def store(session: Session, matched: Matched, findings: Findings) -> None:
    """Store an outcome: its bytes, its rows, its report, what the gates say; and tell the log. The round is locked."""
    round_, outcome, files = matched.round, matched.outcome, findings.manifest
    columns = ["round_id", "tag", "program_id", "seat_group", "choice", "priority_class"]
    copy_rows(session, Placed, columns, findings.placed)
    copy_rows(
        session, WaitingPlace, ["round_id", "program_id", "seat_group", "place", "tag"], _waiting(round_, outcome)
    )
    session.add_all(_cutoffs(round_, outcome))
    now = clock(session)
    round_.outcome = findings.compressed
    round_.outcome_digest = f"sha256:{files['outcome.json']}"
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
    for one in outcome.cutoffs:
        yield CutoffRow(
            round_id=round_.id,
            program_id=one.program,
            seat_group=one.group,
            seats=one.seats,
            filled=one.filled,
            waiting=waiting.get((one.program, one.group), 0),
            last=last_document(one.last),
        )


def report_document(told: Report) -> dict[str, Json]:
    """Write a report as JSON; by choice, None is for held seats that were not ranked."""
    return {
        "applicants": told.applicants,
        "placed": told.placed,
        "unplaced": told.unplaced,
        "without_ranking": told.without_ranking,
        "seats": told.seats,
        "filled": told.filled,
        "by_choice": [{"choice": choice, "applicants": number} for choice, number in told.by_choice],
        "by_grade": [asdict(count) for count in told.by_grade],
        "by_class": [{"seat": kind, "class": name, "applicants": number} for kind, name, number in told.by_class],
        "demand": [asdict(demand) for demand in told.demand],
    }
