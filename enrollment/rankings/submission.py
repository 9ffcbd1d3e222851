"""The path that most of a cycle's requests take: a ranking into its table and the log, in two round trips.

It is asynchronous and has statements of its own, because this is where families wait on the last evening; what is
decided is decided by the functions that decide it elsewhere. First trip: lock the cycle and the child, look. Second:
write the version, the entry and what points to them, and commit. Lock, look, act. The locks come in the order of
docs/explanation/locks.md: the cycle, the child, the child's application (PostgreSQL locks in the order of `OF`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from enrollment.access.callers import Partner
from enrollment.access.tokens import Client
from enrollment.cycles.locks import CycleNotFound, CycleNow, OpenCycle, taking
from enrollment.cycles.models import Cycle
from enrollment.database import refused_by_server
from enrollment.preconditions import refuse_stale
from enrollment.problems import Forbidden, NotFound, OutcomeUnknown, Unauthenticated
from enrollment.rankings.schemas import RankingIn
from enrollment.rankings.versions import KnownProgram, Ranker, Ranking, RankingRefused, Sealed, faults_in, seal

Pool = AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]
Row = tuple[Any, ...]

SCOPE = "applications:write"

CYCLE = (
    "id", "opens_at", "deadline", "late_until", "backfill_opens", "backfill_until", "running_round", "most_ranks"
)  # fmt: skip

HOLD_CYCLE = """
    SELECT p.scopes, clock_timestamp(), c.id, c.opens_at, c.deadline, c.late_until, c.backfill_opens,
        c.backfill_until, c.running_round, c.most_ranks,
        (SELECT jsonb_object_agg(known.id, jsonb_build_array(known.grade, o.status IS NOT DISTINCT FROM 'in'))
         FROM program known LEFT JOIN offering o ON o.program_id = known.id AND o.cycle_id = c.id
         WHERE known.id = ANY(%(programs)s))
    FROM cycle c LEFT JOIN partner p ON p.id = %(partner)s AND p.active
        AND EXISTS (SELECT FROM partner_secret s
                    WHERE s.id::text = %(secret)s AND s.partner_id = p.id AND s.revoked_at IS NULL)
    WHERE c.id = %(cycle)s FOR SHARE OF c
"""
HOLD_CHILD = """
    SELECT a.id, a.child_id, a.grade, h.tag, h.last_leaf, a.ranking_version
    FROM applicant a JOIN child h ON h.id = a.child_id
    WHERE a.cycle_id = %(cycle)s AND a.partner_id = %(partner)s AND a.reference = %(reference)s
      AND a.withdrawn_at IS NULL
    FOR NO KEY UPDATE OF h, a
"""
NEWEST = """
    SELECT r.version, r.kind, r.programs, r.late, r.confirmation, r.leaf_hash, r.at
    FROM applicant a JOIN ranking_version r ON r.applicant_id = a.id
    WHERE a.cycle_id = %(cycle)s AND a.partner_id = %(partner)s AND a.reference = %(reference)s
    ORDER BY r.version DESC LIMIT 1
"""
STORE_DRAFT = """
    INSERT INTO ranking_version (applicant_id, version, kind, programs, late, actor, at)
    VALUES (%(applicant)s, %(version)s, 'draft', %(programs)s, %(late)s, %(actor)s, %(at)s)
"""
STORE = """
    WITH told AS (
        INSERT INTO log_entry (type, cycle_id, actor, body, leaf_hash)
        VALUES (%(type)s, %(cycle)s, %(actor)s, %(body)s, %(leaf)s)
    ), stored AS (
        INSERT INTO ranking_version
            (applicant_id, version, kind, programs, late, actor, confirmation, salt, leaf_hash, at)
        VALUES (%(applicant)s, %(version)s, 'submitted', %(programs)s, %(late)s, %(actor)s, %(confirmation)s,
            %(salt)s, %(leaf)s, %(at)s)
    ), pointed AS (
        UPDATE applicant SET ranking_version = %(version)s WHERE id = %(applicant)s
    )
    UPDATE child SET last_leaf = %(leaf)s WHERE id = %(child)s
"""


async def put_ranking(
    pool: Pool, client: Client, *, cycle: str, reference: str, body: RankingIn, if_match: str | None
) -> Ranking:
    """Submit a ranking, or keep a draft, in a transaction of its own that is committed when this returns.

    Raises:
        Unauthenticated, Forbidden: if the partner or its scope was closed since its token was given.
        NotFound: if there is no such cycle, or the partner has no such live application.
        RoundRunning, CycleNotOpenYet, CycleClosed: if the cycle takes none now.
        VersionMissing, VersionStale: if another version is to be changed than the newest.
        RankingRefused: naming everything that cannot be ranked.
    """
    async with pool.connection() as connection:
        held, ranker, known = await _look(connection, client, cycle, reference, body.programs)
        if same := ranker.stands_already(body.programs, draft=body.draft):
            return same
        refuse_stale(if_match, ranker.newest.version if ranker.newest else None)
        most, draft = held.cycle.most_ranks, body.draft
        if faults := faults_in(body.programs, known, grade=ranker.grade, most=most, draft=draft):
            raise RankingRefused(faults=faults)
        actor = Partner(client.id, client.scopes).actor
        if draft:
            ranking = Ranking(ranker.next_version, "draft", body.programs, held.late, None, None, held.now)
            await _write(connection, STORE_DRAFT, _row(ranker, ranking, actor))
            return ranking
        sealed = seal(actor, held, ranker, "submitted", body.programs)
        await _write(connection, STORE, _sealed_row(ranker, sealed, actor, cycle))
        return sealed.ranking


async def _look(
    connection: AsyncConnection[Row], client: Client, cycle: str, reference: str, programs: Sequence[str]
) -> tuple[OpenCycle, Ranker, Mapping[str, KnownProgram]]:
    """Lock the cycle for sharing and then the child, and read what there is to decide on: one round trip."""
    named = {
        "cycle": cycle,
        "partner": client.id,
        "secret": client.secret,
        "reference": reference,
        "programs": list(programs),
    }
    async with connection.pipeline():
        cursors = [await connection.execute(query, named) for query in (HOLD_CYCLE, HOLD_CHILD, NEWEST)]
        found, child, newest = [await cursor.fetchone() for cursor in cursors]
    if found is None:
        raise CycleNotFound
    scopes, now, *columns, known = found
    if scopes is None:
        raise Unauthenticated
    if SCOPE not in scopes:
        raise Forbidden(needs=SCOPE)
    held = taking(CycleNow(Cycle(**dict(zip(CYCLE, columns, strict=True))), now))
    if child is None:
        raise NotFound
    applicant, child_id, grade, tag, last_leaf, in_force = child
    former = Ranking(*newest) if newest else None
    ranker = Ranker(applicant, child_id, grade, tag, last_leaf, in_force, former)
    return held, ranker, {id_: KnownProgram(*facts) for id_, facts in (known or {}).items()}


async def _write(connection: AsyncConnection[Row], query: str, row: Mapping[str, object]) -> None:
    """Write and commit: one round trip.

    Raises:
        OutcomeUnknown: if the connection is lost on the way: the ranking may be stored or not.
    """
    try:
        async with connection.pipeline():
            await connection.execute(query, row)
            await connection.commit()
    except psycopg.Error as error:
        if refused_by_server(error):
            raise
        raise OutcomeUnknown from error


def _row(ranker: Ranker, ranking: Ranking, actor: str) -> dict[str, object]:
    return {
        "applicant": ranker.id,
        "version": ranking.version,
        "programs": ranking.programs,
        "late": ranking.late,
        "actor": actor,
        "at": ranking.at,
    }


def _sealed_row(ranker: Ranker, sealed: Sealed, actor: str, cycle: str) -> dict[str, object]:
    return {
        **_row(ranker, sealed.ranking, actor),
        "child": ranker.child_id,
        "cycle": cycle,
        "type": sealed.type,
        "body": sealed.entry.body,
        "leaf": sealed.entry.leaf_hash,
        "salt": sealed.salt,
        "confirmation": sealed.ranking.confirmation,
    }
