"""The `enrollment` command."""

import asyncio
import json
import os
import secrets
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer
from psycopg.errors import UndefinedColumn, UndefinedTable
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import OperationalError, ProgrammingError

from enrollment.access.access_changes import reset_from_command_line
from enrollment.access.accounts import AdministratorsThere, make_first_administrator
from enrollment.access.inputs import RoleIn, StaffIn
from enrollment.access.partners import IdTaken
from enrollment.app import create_app, work
from enrollment.applicants.sis_ids import record_keys
from enrollment.cycles.changes import cycles_in_utc
from enrollment.database import connect, sessions_of, transaction
from enrollment.embedded import EmbeddedMissing, PostgreSQLDidNotStart, embedded_postgresql
from enrollment.folder_lock import FolderInUse, locked_folder, refuse_folder_in_use
from enrollment.json_log import take_over_errors
from enrollment.migrate import downgrade, upgrade
from enrollment.problems import Problem
from enrollment.secret_rotation import describe_rotation, rotate
from enrollment.settings import Settings, settings_of_environment
from enrollment.signals import end_with_input, ended_by_signal, noted_signals
from enrollment.time_zones import UTC_NAME
from enrollment.web_server import CannotListen, address_of, listen, serve_web

USABLE, LACKING, UNUSABLE = 0, 1, 2

commands = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line. Errors in settings, input or the database print one line and exit with code 2."""
    take_over_errors()
    try:
        commands()
    except ValidationError as error:
        for fault in error.errors():
            typer.echo(f"enrollment: {_named(error.title, fault['loc'])}: {fault['msg']}", err=True)
        raise SystemExit(UNUSABLE) from None
    except OSError as error:
        typer.echo(f"enrollment: {error.filename or ''}: {(error.strerror or str(error)).lower()}", err=True)
        raise SystemExit(UNUSABLE) from None
    except (EmbeddedMissing, PostgreSQLDidNotStart, FolderInUse, CannotListen) as error:
        typer.echo(f"enrollment: {error}", err=True)
        raise SystemExit(UNUSABLE) from None
    except OperationalError as error:
        typer.echo(f"enrollment: cannot use the database: {str(error.orig).splitlines()[0]}", err=True)
        raise SystemExit(UNUSABLE) from None
    except ProgrammingError as error:
        if not isinstance(error.orig, UndefinedTable | UndefinedColumn):
            raise
        typer.echo("enrollment: the database tables do not match this version. Run enrollment migrate.", err=True)
        raise SystemExit(UNUSABLE) from None


def _named(title: str, place: tuple[int | str, ...]) -> str:
    """Return the name of a wrong value: the environment variable of a setting, or the field."""
    name = ".".join(map(str, place))
    if title != Settings.__name__:
        return name
    return f"the setting {name if name.isupper() else f'ENROLLMENT_{name.upper()}'}"


EndWithInput = Annotated[
    bool,
    typer.Option("--end-with-input", help="End when standard input ends. Useful for a program that starts this one."),
]


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on. 0 picks a free port.", min=0, max=65535)] = 8000,
    processes: Annotated[int, typer.Option(help="Number of web processes.", min=1, max=64)] = 1,
    descriptor: Annotated[
        int | None, typer.Option(help="File descriptor of a listening socket, instead of host and port.", min=0)
    ] = None,
    *,
    with_input: EndWithInput = False,
) -> None:
    """Serve the API. Settings come from the environment."""
    create_app(settings_of_environment())  # report wrong settings before anything starts
    with ended_by_signal():
        listening = listen(host, port) if descriptor is None else socket.socket(fileno=descriptor)
        typer.echo(f"The service is running at {address_of(listening)}.")
        if with_input:
            end_with_input()
        serve_web(listening, processes=processes)


@commands.command("try")
def try_out(
    administrator: Annotated[
        list[str], typer.Option(help="Name of an administrator to make, unless the account exists. Give two.")
    ],
    password_file: Annotated[Path, typer.Option(help="File with the administrators' password.")],
    folder: Annotated[Path, typer.Option(help="Folder for the database and the secret.")] = Path("try-city"),
    port: Annotated[int, typer.Option(help="Port to listen on. 0 picks a free port.", min=0, max=65535)] = 8000,
) -> None:
    """Try the service on one machine, with an embedded PostgreSQL and nothing else installed."""
    with ended_by_signal(), ExitStack() as opened:
        refuse_folder_in_use(folder)
        listening = opened.enter_context(listen("127.0.0.1", port))
        address = address_of(listening)
        password = password_file.read_text(encoding="utf-8").strip()
        opened.enter_context(locked_folder(folder, by="enrollment try", address=address))
        url = opened.enter_context(embedded_postgresql(folder / "postgresql"))
        os.environ |= {"DATABASE_URL": url, "ENROLLMENT_SECRET": _secret_of(folder)}
        os.environ["ENROLLMENT_WORKER_INSIDE"] = "true"
        os.environ.setdefault("ENROLLMENT_PUBLIC_URL", address)
        upgrade(url)
        _complete_cycles(settings_of_environment())
        for name in administrator:
            with suppress(IdTaken, AdministratorsThere):
                _make_administrator(name, password)
        typer.echo(f"The service is running at {address}. Press Ctrl-C to stop. The folder {folder} keeps the data.")
        serve_web(listening, processes=1)


def _secret_of(folder: Path) -> str:
    """Return the secret in a folder. Make the secret the first time."""
    kept = folder / "secret"
    if not kept.exists() or not kept.stat().st_size:
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_hex(32), encoding="ascii")
    return kept.read_text(encoding="ascii")


@commands.command()
def worker(*, with_input: EndWithInput = False) -> None:
    """Run background jobs and the log sequencer. You may run several workers, on any machine."""
    settings = settings_of_environment()
    with ended_by_signal():
        if with_input:
            end_with_input()
        asyncio.run(_work_until_signal(settings))


async def _work_until_signal(settings: Settings) -> None:
    working = asyncio.create_task(work(settings))
    loop = asyncio.get_running_loop()
    with noted_signals(lambda _: loop.call_soon_threadsafe(working.cancel)), suppress(asyncio.CancelledError):
        await working


@commands.command()
def migrate(
    to: Annotated[str, typer.Option(help="Target revision.")] = "head",
    *,
    down: Annotated[bool, typer.Option("--down", help="Downgrade to the revision.")] = False,
) -> None:
    """Upgrade the database tables to this version."""
    settings = settings_of_environment()
    (downgrade if down else upgrade)(settings.database_url, to)
    if to == "head" and not down:
        _complete_cycles(settings)


def _complete_cycles(settings: Settings) -> None:
    """Record the secret that each cycle's SIS ids need, and name the cycles that have no time zone of their own.

    During a rotation nobody can tell the secret of old cycles.
    """
    engine = connect(settings.database_url, connections=1)
    try:
        with transaction(sessions_of(engine)) as session:
            if settings.second_secret is None:
                record_keys(session, settings)
            for cycle in cycles_in_utc(session):
                typer.echo(
                    f"enrollment: the calendar days of cycle {cycle} are days in {UTC_NAME}. "
                    f"Set the schools' time zone with PUT /v1/cycles/{cycle}."
                )
    finally:
        engine.dispose()


@commands.command()
def rotate_secret() -> None:
    """Move stored data to the secret in ENROLLMENT_SECRET, and list the data that still needs the second secret.

    Exit code 1 means that stored data needs a secret that is not set.
    """
    settings = settings_of_environment()
    engine = connect(settings.database_url, connections=2)
    try:
        rotated = rotate(sessions_of(engine), settings)
    finally:
        engine.dispose()
    for line in describe_rotation(rotated):
        typer.echo(line)
    if rotated.lacks_a_secret:
        raise typer.Exit(LACKING)


@commands.command()
def make_administrator(
    name: Annotated[str, typer.Argument(help="The name with which the administrator signs in.")],
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password. Without it, the command asks for the password.")
    ] = None,
) -> None:
    """Make one of the first two administrators. Later administrators take two people, through the API."""
    if password_file is None:
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        password = password_file.read_text(encoding="utf-8").strip()
    try:
        _make_administrator(name, password)
    except Problem as refusal:
        typer.echo(f"enrollment: {_faults_of(refusal)}", err=True)
        raise typer.Exit(UNUSABLE) from None


def _faults_of(refusal: Problem) -> str:
    """Return every fault of a refusal, or its detail."""
    return " ".join([fault.detail.format_map(fault.values) for fault in refusal.faults] or [str(refusal)])


@commands.command()
def reset_account(name: Annotated[str, typer.Argument(help="The account id.")]) -> None:
    """Remove an account's password and second factors, and print the code with which its owner sets a password.

    Use it when no two administrators can sign in. The public log and the security log record the reset.
    """
    settings = settings_of_environment()
    engine = connect(settings.database_url, connections=2)
    try:
        with transaction(sessions_of(engine)) as session:
            code = reset_from_command_line(session, name, settings=settings)
    except Problem as refusal:
        typer.echo(f"enrollment: {_faults_of(refusal)}", err=True)
        raise typer.Exit(UNUSABLE) from None
    finally:
        engine.dispose()
    typer.echo(code)


def _make_administrator(name: str, password: str) -> None:
    StaffIn(id=name, name=name, roles=[RoleIn(role="administrator")])  # refuse an invalid name
    engine = connect(settings_of_environment().database_url, connections=2)
    try:
        with transaction(sessions_of(engine)) as session:
            make_first_administrator(session, name, password)
    finally:
        engine.dispose()


@commands.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    app = create_app(Settings(database_url="postgresql:///nowhere", secret=SecretStr("-" * 32)))
    typer.echo(json.dumps(app.openapi(), ensure_ascii=False, indent=2))
