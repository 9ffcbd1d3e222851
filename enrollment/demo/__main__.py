"""The command of the demo."""

import argparse
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx
import psycopg

from enrollment.demo import applications as taking
from enrollment.demo import round as the_round
from enrollment.demo import setup as setting
from enrollment.demo import summer
from enrollment.demo.city import invent
from enrollment.demo.servers import (
    DidNotStart,
    ServiceEnded,
    enrollment,
    listen_at,
    new_database,
    running,
    settings_of,
    stay,
)
from enrollment.demo.setup import CYCLE, PASSWORD, Cast
from enrollment.demo.terminal import Teller
from enrollment.embedded import EmbeddedMissing, PostgreSQLDidNotStart
from enrollment.folder_lock import FolderInUse, locked_folder, refuse_folder_in_use
from enrollment.signals import ended_by_signal
from enrollment.web_server import CannotListen, address_of

UNUSABLE = 2
REFUSALS = (
    CannotListen,
    DidNotStart,
    EmbeddedMissing,
    FolderInUse,
    OSError,
    PostgreSQLDidNotStart,
    ServiceEnded,
    httpx.TransportError,
)
LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Size:
    """How large a city."""

    schools: int
    children: int
    most_ranks: int = 12


SIZES = {"town": Size(16, 300), "city": Size(60, 3_000), "dc": Size(210, 22_443)}


def main() -> None:
    """Run the demo; what keeps it from running is one line on standard error, and 2."""
    try:
        demo()
    except REFUSALS as refusal:
        sys.stderr.write(f"scripts/demo: {refusal}\n")
        raise SystemExit(UNUSABLE) from None
    except psycopg.OperationalError as error:
        sys.stderr.write(f"scripts/demo: the database cannot be used: {str(error).splitlines()[0]}\n")
        raise SystemExit(UNUSABLE) from None


def demo() -> None:
    """Make the city, act as everybody in it, say where to look, and stay up unless told otherwise."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Start PostgreSQL and the service, make a city, and run its round over HTTP, as everybody in it. "
        "The service then stays up to be looked at.",
    )
    parser.add_argument("--exit", action="store_true", help="end the service afterwards")
    parser.add_argument(
        "--size", choices=SIZES, default="city", help="16 schools and 300 children, 60 and 3,000, or 210 and 22,443"
    )
    parser.add_argument("--port", type=port_of, help="where to listen (default: 8000 if it is free)")
    parser.add_argument("--folder", type=Path, default=Path("demo-city"), help="where files go (default: demo-city)")
    parser.add_argument("--lottery", action="store_true", help="the lottery alone, on files, without a service")
    options = parser.parse_args()
    with ended_by_signal():
        play(options.folder, SIZES[options.size], port=options.port, stays=not options.exit)


def play(folder: Path, size: Size, *, port: int | None, stays: bool) -> None:
    """Start the service in a folder of the demo's own, act in it, and stay up if that is wanted."""
    tell, began = Teller(), time.monotonic()
    with ExitStack() as opened:
        refuse_folder_in_use(folder)
        listening = opened.enter_context(listen_at(port))
        address = address_of(listening)
        opened.enter_context(locked_folder(folder, by="a demo", address=address))
        tell.headline("The service starts: PostgreSQL, its tables, web processes, a worker.")
        environment = settings_of(opened.enter_context(new_database(folder)), address)
        enrollment(environment, "migrate")
        with NamedTemporaryFile("w", suffix=".password") as file:
            file.write(PASSWORD)
            file.flush()
            for name in ("ann", "bea"):
                enrollment(environment, "make-administrator", name, "--password-file", file.name)
        processes = opened.enter_context(running(environment, folder, listening))
        cast, explained = act(address, size, folder, tell)
        tell.headline(f"Done in {time.monotonic() - began:.0f} seconds.")
        where_to_look(address, cast, explained, tell)
        if stays:
            tell.line("The service stays up; Ctrl-C ends it.")
            stay(processes, folder)


def port_of(typed: str) -> int:
    """Return a port as it was typed.

    Raises:
        argparse.ArgumentTypeError: if it is none.
    """
    if not (typed.isascii() and typed.isdigit() and 0 < int(typed) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"must be a port from 1 to {LAST_PORT}")
    return int(typed)


def act(address: str, size: Size, folder: Path, tell: Teller) -> tuple[Cast, str]:
    """Act as everybody, from the first school to the last check."""
    city = invent(schools=size.schools, children=size.children)
    tell.headline(f"A city of {size.schools} schools of three operators, and {size.children:,} children.")
    cast = setting.make_cast(address, city, tell)
    calendar = setting.make_cycle(cast.ann, most_ranks=size.most_ranks)
    setting.bring_in_zones(cast.ann, city, tell)
    setting.have_schools_take_part(cast, city, tell)

    tell.headline("The cycle opens: from now on rules are fixed, and families rank.")
    calendar = taking.set_calendar(
        cast.ann, calendar, reason="All schools have said their rules", opens_at=taking.soon()
    )
    taking.wait_for_phase(cast.ann, "open")
    on_time = [family for family in city.families if not family.late]
    late = [family for family in city.families if family.late]
    taking.take_applications(cast, on_time, tell, title="Families apply and rank")
    taking.revise(cast, on_time, tell)
    without_claims = next(family for family in on_time[1:] if not family.claims)
    taking.refuse_the_same_child_twice(cast, without_claims, tell)
    leaver = next(school for school in reversed(city.schools) if school.takes_part and school.id not in cast.offices)
    taking.leave(cast, leaver, tell)
    taking.decide_claims(cast, city, tell, families=on_time)
    for school in city.schools:
        if school.screened and school.id in cast.offices:
            taking.order_applicants(cast, school, tell)

    tell.headline("A rehearsal; then the deadline, and some who are late.")
    the_round.rehearse(cast, tell)
    calendar = taking.set_calendar(cast.ann, calendar, reason="The demo does not wait for days", deadline=taking.soon())
    taking.wait_for_phase(cast.ann, "late")
    left = {str(program["id"]) for program in leaver.programs}
    taking.take_applications(cast, [taking.without(family, left) for family in late], tell, title="Late families apply")

    tell.headline("The round.")
    the_round.run(cast, tell)
    the_round.report(cast, tell)
    the_round.school_list(cast, city, tell)

    tell.headline("An auditor trusts nobody: the round is checked from files.")
    paths = the_round.verify(cast, folder, tell)
    the_round.hold_against_log(cast, paths, tell)

    tell.headline("Why one child got what it got.")
    explained = the_round.explain(cast, city, tell)

    tell.headline("The summer: answers, backfill rounds, late families, and the ledger.")
    summer.run(cast, city, calendar, folder, tell)
    return cast, explained


def where_to_look(address: str, cast: Cast, explained: str, tell: Teller) -> None:
    """Say where to look, and who can sign in."""
    offices = sorted(f"{school}.office" for school in cast.offices)
    tell.line(f"{address}/docs says what can be asked. Without a token:")
    tell.quote([f"{address}/v1/rounds/2027-main/report", f"{address}{CYCLE}/vacancies"])
    tell.table(
        "Who can sign in: POST /v1/sessions with id and password gives a token",
        ("who", "id", "password"),
        [
            ("administrators", "ann, bea", PASSWORD),
            ("auditor", "otto", PASSWORD),
            ("operators", ", ".join(f"{operator}.office" for operator in cast.operators), PASSWORD),
            ("schools", ", ".join(offices[:4]) + ", …", PASSWORD),
        ],
    )
    tell.table(
        "Administrators need a code too: give the secret to an authenticator app, and send its code with the sign-in",
        ("id", "secret of the app"),
        [(name, who.app.secret) for name, who in (("ann", cast.ann), ("bea", cast.bea)) if who.app],
    )
    tell.table(
        "Partners: POST /v1/oauth/token with client credentials gives an access token",
        ("client_id", "client_secret"),
        [(name, secret) for name, secret in cast.secrets.items()],
    )
    secret = cast.secrets["city-portal"]
    tell.line("For instance:")
    basic = f"-u city-portal:{secret} -d grant_type=client_credentials"
    read = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"access_token\"])'"
    tell.quote(
        [
            f"token=$(curl -s {basic} {address}/v1/oauth/token | {read})",
            f'curl -s -H "Authorization: Bearer $token" {address}{explained}/result',
            f"curl -s {address}{CYCLE}",
        ]
    )


if __name__ == "__main__":
    main()
