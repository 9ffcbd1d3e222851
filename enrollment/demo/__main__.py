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

from enrollment.demo import applications, setup, summer
from enrollment.demo import round as main_round
from enrollment.demo.city import DemoCity, make_city
from enrollment.demo.schools import ParticipatingSchool
from enrollment.demo.servers import (
    DidNotStart,
    ServiceEnded,
    listen_at,
    new_database,
    run_command,
    running,
    settings_of,
    stay,
)
from enrollment.demo.setup import CYCLE, PASSWORD, People
from enrollment.demo.terminal import Terminal
from enrollment.embedded import EmbeddedMissing, PostgreSQLDidNotStart
from enrollment.folder_lock import FolderInUse, locked_folder, refuse_folder_in_use
from enrollment.signals import ended_by_signal
from enrollment.web_server import CannotListen, address_of
from lottery.market.canonical import Json

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
    """The size of a city."""

    schools: int
    children: int
    most_ranks: int = 12


SIZES = {"town": Size(16, 300), "city": Size(60, 3_000), "dc": Size(210, 22_443)}


def main() -> None:
    """Run the demo. If the demo cannot run, write one line to standard error, and exit with status 2."""
    try:
        demo()
    except REFUSALS as refusal:
        sys.stderr.write(f"scripts/demo: {refusal}\n")
        raise SystemExit(UNUSABLE) from None
    except psycopg.OperationalError as error:
        sys.stderr.write(f"scripts/demo: cannot use the database: {str(error).splitlines()[0]}\n")
        raise SystemExit(UNUSABLE) from None


def demo() -> None:
    """Read the options, and play the demo."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Run a complete lottery round for an invented city. The demo starts PostgreSQL and the service, "
        "acts as every participant over HTTP, and then keeps the service running for you to explore.",
    )
    parser.add_argument("--exit", action="store_true", help="stop the service at the end")
    parser.add_argument(
        "--size",
        choices=SIZES,
        default="city",
        help="town: 16 schools and 300 children; city: 60 and 3,000 (default); dc: 210 and 22,443",
    )
    parser.add_argument("--port", type=port_of, help="the port of the service (default: 8000 if it is free)")
    parser.add_argument(
        "--folder", type=Path, default=Path("demo-city"), help="the folder for files (default: demo-city)"
    )
    parser.add_argument("--lottery", action="store_true", help="run only the lottery, on files, without the service")
    options = parser.parse_args()
    with ended_by_signal():
        play(options.folder, SIZES[options.size], port=options.port, keep_running=not options.exit)


def play(folder: Path, size: Size, *, port: int | None, keep_running: bool) -> None:
    """Start the service with its files in a folder, act as every participant, and show where to look next."""
    terminal, began = Terminal(), time.monotonic()
    with ExitStack() as opened:
        refuse_folder_in_use(folder)
        listening = opened.enter_context(listen_at(port))
        address = address_of(listening)
        opened.enter_context(locked_folder(folder, by="a demo", address=address))
        terminal.headline("The service starts: PostgreSQL, web processes and a worker.")
        environment = settings_of(opened.enter_context(new_database(folder)), address)
        run_command(environment, "migrate")
        with NamedTemporaryFile("w", suffix=".password") as file:
            file.write(PASSWORD)
            file.flush()
            for name in ("ann", "bea"):
                run_command(environment, "make-administrator", name, "--password-file", file.name)
        processes = opened.enter_context(running(environment, folder, listening))
        people, explained_path = act(address, size, folder, terminal)
        terminal.headline(f"Done in {time.monotonic() - began:.0f} seconds.")
        where_to_look(address, people, explained_path, terminal)
        if keep_running:
            terminal.line("The service is still running. Press Ctrl-C to stop it.")
            stay(processes, folder)


def port_of(text: str) -> int:
    """Return the port that a command-line argument gives.

    Raises:
        argparse.ArgumentTypeError: if the argument is not a port.
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"must be a port from 1 to {LAST_PORT}")
    return int(text)


def act(address: str, size: Size, folder: Path, terminal: Terminal) -> tuple[People, str]:
    """Act as every participant, from the first school to the last check."""
    city = make_city(schools=size.schools, children=size.children)
    terminal.headline(
        f"A city of {size.schools} schools, three operators and {size.children:,} children prepares its lottery."
    )
    people = setup.make_people(address, city, terminal)
    calendar = setup.make_cycle(people.ann, most_ranks=size.most_ranks)
    setup.import_zones(people.ann, city, terminal)
    setup.join_schools(people, city, terminal)
    calendar = open_cycle(people, city, calendar, terminal)
    calendar = rehearse_and_close(people, city, calendar, terminal)
    explained_path = run_main_round(people, city, folder, terminal)
    terminal.headline("Summer: families answer offers, and backfill rounds fill open seats.")
    summer.run(people, city, calendar, folder, terminal)
    return people, explained_path


def open_cycle(people: People, city: DemoCity, calendar: dict[str, Json], terminal: Terminal) -> dict[str, Json]:
    """Open the cycle, and let families, schools and administrators act until the deadline. Return the calendar."""
    terminal.headline("The cycle opens. The schools' rules are now fixed, and families rank programs.")
    calendar = applications.set_calendar(
        people.ann, calendar, reason="All schools have set their rules", opens_at=applications.soon()
    )
    applications.wait_for_phase(people.ann, "open")
    on_time = [family for family in city.families if not family.late]
    applications.take_applications(people, on_time, terminal, title="Families apply and rank")
    applications.change_rankings(people, on_time, terminal)
    without_claims = next(family for family in on_time[1:] if not family.claims)
    applications.refuse_second_application(people, without_claims, terminal)
    applications.leave_cycle(people, leaving_school(people, city), terminal)
    applications.decide_claims(people, city, terminal, families=on_time)
    for school in city.schools:
        if school.screened and school.id in people.offices:
            applications.order_applicants(people, school, terminal)
    return calendar


def leaving_school(people: People, city: DemoCity) -> ParticipatingSchool:
    """Return the school that leaves after the cycle opened."""
    return next(school for school in reversed(city.schools) if school.takes_part and school.id not in people.offices)


def rehearse_and_close(
    people: People, city: DemoCity, calendar: dict[str, Json], terminal: Terminal
) -> dict[str, Json]:
    """Rehearse the round, pass the deadline, and let late families apply. Return the calendar."""
    terminal.headline("Administrators rehearse the round. Then the deadline passes, and late families apply.")
    main_round.rehearse(people, terminal)
    calendar = applications.set_calendar(
        people.ann, calendar, reason="The demo does not wait for days", deadline=applications.soon()
    )
    applications.wait_for_phase(people.ann, "late")
    left = {str(program["id"]) for program in leaving_school(people, city).programs}
    late = [applications.without(family, left) for family in city.families if family.late]
    applications.take_applications(people, late, terminal, title="Late families apply")
    return calendar


def run_main_round(people: People, city: DemoCity, folder: Path, terminal: Terminal) -> str:
    """Run, check and explain the main round. Return the path of the application that was explained."""
    terminal.headline("Administrators run the main round.")
    main_round.run(people, terminal)
    main_round.show_report(people, terminal)
    main_round.show_school_view(people, city, terminal)

    terminal.headline("An auditor checks the round from its files, without trusting the service.")
    paths = main_round.verify(people, folder, terminal)
    main_round.compare_with_log(people, paths, terminal)

    terminal.headline("A family reads why their child got this result.")
    return main_round.explain(people, city, terminal)


OPEN_PAGES = ("/v1/rounds/2027-main/report", "/v1/rounds/2027-main/cutoffs")
"""Pages for everybody. The lines of the vacancy ledger are for staff."""


def where_to_look(address: str, people: People, explained_path: str, terminal: Terminal) -> None:
    """Show where to look next, and who can sign in."""
    offices = sorted(f"{school}.office" for school in people.offices)
    terminal.line(f"Read about the API at {address}/docs. These pages need no token:")
    terminal.quote([f"{address}{page}" for page in OPEN_PAGES])
    terminal.table(
        "Staff: to get a token, send an id and its password to POST /v1/sessions",
        ("role", "id", "password"),
        [
            ("administrators", "ann, bea", PASSWORD),
            ("auditor", "otto", PASSWORD),
            ("operators", ", ".join(f"{operator}.office" for operator in people.operators), PASSWORD),
            ("schools", ", ".join(offices[:4]) + ", …", PASSWORD),
        ],
    )
    terminal.table(
        "Administrators also need a code: add the secret to an authenticator app, and send the app's code too",
        ("id", "app secret"),
        [(name, person.app.secret) for name, person in (("ann", people.ann), ("bea", people.bea)) if person.app],
    )
    terminal.table(
        "Partners: to get an access token, send client credentials to POST /v1/oauth/token",
        ("client_id", "client_secret"),
        [(name, secret) for name, secret in people.secrets.items()],
    )
    secret = people.secrets["city-portal"]
    terminal.line("Try these commands:")
    basic = f"-u city-portal:{secret} -d grant_type=client_credentials"
    read = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"access_token\"])'"
    terminal.quote(
        [
            f"token=$(curl -s {basic} {address}/v1/oauth/token | {read})",
            f'curl -s -H "Authorization: Bearer $token" {address}{explained_path}/result',
            f"curl -s {address}{CYCLE}",
        ]
    )


if __name__ == "__main__":
    main()
