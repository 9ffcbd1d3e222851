"""The `enrollment` command: serve, work, migrate, make the first administrator."""

import asyncio
import json
import os
import secrets
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import OperationalError

from enrollment.access.access_changes import reset_from_command_line
from enrollment.access.accounts import AdministratorsThere, make_first_administrator
from enrollment.access.partners import IdTaken
from enrollment.access.schemas import RoleBody, StaffBody
from enrollment.app import create_app, work
from enrollment.database import connect, sessions_of, transaction
from enrollment.embedded import EmbeddedMissing, start_postgresql
from enrollment.json_log import take_over_errors
from enrollment.migrating import downgrade, upgrade
from enrollment.problems import Problem
from enrollment.server import serve_http
from enrollment.settings import Settings, settings_of_environment

USABLE, UNUSABLE = 0, 2

commands = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line; what is wrong with settings, input or database is one line on standard error, and 2."""
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
    except EmbeddedMissing as error:
        typer.echo(f"enrollment: {error}", err=True)
        raise SystemExit(UNUSABLE) from None
    except OperationalError as error:
        typer.echo(f"enrollment: the database cannot be used: {str(error.orig).splitlines()[0]}", err=True)
        raise SystemExit(UNUSABLE) from None


def _named(title: str, place: tuple[int | str, ...]) -> str:
    """Return how whoever typed it knows what is wrong: a setting by its variable, else the field."""
    name = ".".join(map(str, place))
    if title != Settings.__name__:
        return name
    return f"the setting {name if name.isupper() else f'ENROLLMENT_{name.upper()}'}"


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 8000,
    processes: Annotated[int, typer.Option(help="Web processes.", min=1, max=64)] = 1,
) -> None:
    """Serve the API, settings from the environment."""
    create_app(settings_of_environment())  # wrong settings end here, with their names
    serve_http(host=host, port=port, processes=processes)


@commands.command("try")
def try_out(
    administrator: Annotated[
        list[str], typer.Option(help="An administrator to make, if there is none of that name; give two.")
    ],
    password_file: Annotated[Path, typer.Option(help="A file with the administrators' password.")],
    folder: Annotated[Path, typer.Option(help="Where the database and the secret are kept.")] = Path("try-city"),
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 8000,
) -> None:
    """Serve all in one, on an embedded PostgreSQL: to try it out, with nothing else installed."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "secret"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_hex(32), encoding="ascii")
    url = start_postgresql(folder / "postgresql")
    os.environ |= {"DATABASE_URL": url, "ENROLLMENT_SECRET": kept.read_text(encoding="ascii")}
    os.environ["ENROLLMENT_WORKER_INSIDE"] = "true"
    upgrade(url)
    for name in administrator:
        with suppress(IdTaken, AdministratorsThere):
            _make_administrator(name, password_file.read_text(encoding="utf-8").strip())
    typer.echo(f"http://127.0.0.1:{port} is served until this ends; {folder} keeps what it has.")
    serve(port=port)


@commands.command()
def worker() -> None:
    """Run jobs and the log's sequencer; run as many as you like, on any machine."""
    asyncio.run(_work_until_told(settings_of_environment()))


async def _work_until_told(settings: Settings) -> None:
    working = asyncio.create_task(work(settings))
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, working.cancel)
    try:
        await working
    except asyncio.CancelledError:
        return


@commands.command()
def migrate(
    to: Annotated[str, typer.Option(help="The revision to reach.")] = "head",
    *,
    down: Annotated[bool, typer.Option("--down", help="Go back to the revision instead of forward.")] = False,
) -> None:
    """Bring the database's tables to this version."""
    (downgrade if down else upgrade)(settings_of_environment().database_url, to)


@commands.command()
def make_administrator(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    password_file: Annotated[
        Path | None, typer.Option(help="A file with the password; asked for on the terminal otherwise.")
    ] = None,
) -> None:
    """Make one of the first two administrators; every other one takes two administrators, over HTTP."""
    if password_file is None:
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        password = password_file.read_text(encoding="utf-8").strip()
    try:
        _make_administrator(name, password)
    except Problem as refusal:
        typer.echo(f"enrollment: {_told(refusal)}", err=True)
        raise typer.Exit(UNUSABLE) from None


def _told(refusal: Problem) -> str:
    """Return what was refused, with every fault of it."""
    return " ".join([fault.detail.format_map(fault.values) for fault in refusal.faults] or [str(refusal)])


@commands.command()
def reset_account(name: Annotated[str, typer.Argument(help="The account's name.")]) -> None:
    """Take an account's password and second factors away, and print the code with which its owner sets a password.

    For when no two administrators can sign in. The public log and the security log say that it was done here.
    """
    settings = settings_of_environment()
    engine = connect(settings.database_url, connections=2)
    try:
        with transaction(sessions_of(engine)) as session:
            code = reset_from_command_line(session, name, settings=settings)
    except Problem as refusal:
        typer.echo(f"enrollment: {_told(refusal)}", err=True)
        raise typer.Exit(UNUSABLE) from None
    finally:
        engine.dispose()
    typer.echo(code)


def _make_administrator(name: str, password: str) -> None:
    StaffBody(id=name, name=name, roles=[RoleBody(role="administrator")])  # a name that is none ends here
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
