"""Markets and outcomes in files: one JSON document, a folder, or a zip.

A folder or zip has `market.json`, which is everything but applicants, and `applicants.jsonl`, one applicant a line.
"""

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TypeAlias

from lottery.market.canonical import Json, canonical_line
from lottery.market.json_reader import Fault, NotJson, Reader, UnusableInput, Where, decode
from lottery.market.model import Market
from lottery.market.outcome import Outcome, read_outcome
from lottery.market.reader import Entries, MarketReader, read_market, read_market_in_parts
from lottery.progress import Track, untracked

HEAD = "market.json"
APPLICANTS = "applicants.jsonl"

LONGEST_LINE = 1 << 20
"""Bytes of one applicant's line, far more than any ranking needs."""

UNPACKED_FREELY = 64 << 20
"""Bytes that a zip may always unpack to."""

MAX_GROWTH = 250
"""Times its packed size that a larger zip may unpack to.

Cities deflate to a sixth or a tenth; programs with the same rules at every school, the most repetitive, to a ninetieth.
"""

ENCRYPTED = 0x1

OpenPart: TypeAlias = Callable[[str], IO[bytes]]
"""Opens one part of a folder or zip by its name."""


def load_market(path: str | Path, *, track: Track = untracked) -> Market:
    """Read a market from a JSON file, a folder or a zip.

    Raises:
        UnusableInput: with every fault found, each with its file, its JSON path, what is wrong and what to do.
    """
    path = Path(path)
    with parts_of(path) as open_part:
        if open_part is not None:
            return _load_parts(open_part, path, track)
        return read_market(_decode(path.read_bytes(), str(path)), file=str(path), track=track)


@contextmanager
def parts_of(path: Path) -> Iterator[OpenPart | None]:
    """Give what opens the parts of a folder, or of a zip with nothing odd about it; None if it is one document.

    Raises:
        UnusableInput: if it is no such zip, or if something cannot be read, until the parts are closed.
    """
    with _refusing_broken_files(path):
        if path.is_dir():
            yield lambda part: (path / part).open("rb")
        elif _is_zip(path):
            with _refusing_broken_zip(path), zipfile.ZipFile(path) as archive:
                _refuse_odd_zip(archive, path)
                yield archive.open
        else:
            yield None


def load_outcome(path: str | Path) -> Outcome:
    """Read an outcome from its file.

    Raises:
        UnusableInput: with every fault found.
    """
    return outcome_from(read_bytes(path), path)


def outcome_from(raw: bytes, path: str | Path) -> Outcome:
    """Read an outcome from the bytes of a file; `path` names it in faults.

    Raises:
        UnusableInput: with every fault found.
    """
    return read_outcome(_decode(raw, str(path)), file=str(path))


def read_bytes(path: str | Path) -> bytes:
    """Read a whole file.

    Raises:
        UnusableInput: if it cannot be read.
    """
    with _refusing_broken_files(Path(path)):
        return Path(path).read_bytes()


@contextmanager
def write_whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that takes the path's place once all is written; after an error the path is as it was.

    Raises:
        UnusableInput: if nothing can be written there.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    with _refusing_broken_files(path):
        if path.exists() and not path.is_file():  # a device or pipe has no place to take
            with path.open("wb") as stream:
                yield stream
            return
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            with unfinished.open("xb") as stream:
                yield stream
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def save_market(path: Path, head: Mapping[str, Json], applicants: Iterable[Mapping[str, Json]]) -> None:
    """Write a market: a zip if the name ends so, one JSON document if it ends with `.json`, else a folder.

    The zip is stored, not deflated, since deflate gives other bytes on other machines.

    Raises:
        UnusableInput: if nothing can be written there.
    """
    lines = (canonical_line(applicant).encode() + b"\n" for applicant in applicants)
    first = canonical_line(head).encode()
    if path.suffix == ".json":
        with write_whole(path) as stream:
            stream.write(first.removesuffix(b"}") + b',"applicants":[\n')
            for position, line in enumerate(lines):
                stream.write(b"," * (position > 0) + line)
            stream.write(b"]}\n")
    elif path.suffix == ".zip":
        with write_whole(path) as stream, zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(zipfile.ZipInfo(HEAD), first + b"\n")
            with archive.open(zipfile.ZipInfo(APPLICANTS), "w", force_zip64=True) as part:
                part.writelines(lines)
    else:
        with _refusing_broken_files(path):
            path.mkdir(exist_ok=True)
        with write_whole(path / APPLICANTS) as stream:
            stream.writelines(lines)
        with write_whole(path / HEAD) as stream:
            stream.write(first + b"\n")


def _load_parts(open_part: OpenPart, path: Path, track: Track) -> Market:
    reader = MarketReader()
    with open_part(HEAD) as stream:
        head = _decode(stream.read(), str(path / HEAD))
    with open_part(APPLICANTS) as stream:
        entries = _lines(stream, str(path / APPLICANTS), reader)
        return read_market_in_parts(head, track(entries, "reading", None), file=str(path / HEAD), reader=reader)


def _lines(stream: IO[bytes], file: str, reader: Reader) -> Entries:
    """Yield each line's value with its place."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        where: Where = (None, f"{file}:{number}")
        if len(line) > LONGEST_LINE:
            reader.refuse(where, f"is longer than {LONGEST_LINE} bytes", "write one applicant a line")
            return
        if not line.strip():
            reader.refuse(where, "is empty", "remove the line")
            continue
        try:
            value = decode(line.rstrip(b"\r\n"))
        except NotJson as refusal:
            reader.refuse(where, *str(refusal).split("; ", 1))
        else:
            yield where, value


def _decode(raw: bytes, file: str) -> Json:
    try:
        return decode(raw)
    except NotJson as refusal:
        raise UnusableInput([Fault(file, "$", *str(refusal).split("; ", 1))]) from None


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"  # no JSON begins so


def _refuse_odd_zip(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse a zip with anything but the two parts in it, or one that unpacks without end."""
    reader = Reader()
    seen: set[str] = set()
    for member in archive.infolist():
        where: Where = ((None, str(path)), member.filename)
        if _leads_outside(member.filename):
            reader.refuse(where, "names a path outside the zip", "do not use a zip from there")
        elif member.filename not in {HEAD, APPLICANTS}:
            reader.refuse(where, "is no part of a market", f"pack {HEAD} and {APPLICANTS}, without a folder")
        elif member.filename in seen:
            reader.refuse(where, "stands more than once in the zip", "pack it once")
        elif member.flag_bits & ENCRYPTED:
            reader.refuse(where, "is encrypted", "pack it without a password")
        seen.add(member.filename)
    for part in sorted({HEAD, APPLICANTS} - seen):
        reader.refuse(((None, str(path)), part), "is missing", "pack it into the zip")
    most = max(UNPACKED_FREELY, MAX_GROWTH * path.stat().st_size)
    if sum(member.file_size for member in archive.infolist()) > most:
        reader.refuse((None, str(path)), f"unpacks to more than {most} bytes", "use the unpacked folder")
    reader.finish()


def _leads_outside(name: str) -> bool:
    return (
        ".." in PurePosixPath(name.replace("\\", "/")).parts
        or PurePosixPath(name).is_absolute()
        or bool(PureWindowsPath(name).anchor)
    )


@contextmanager
def _refusing_broken_files(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into a fault."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        file = str(error.filename or path)
        raise UnusableInput([Fault(file, "$", reason.lower(), "check the path and its permissions")]) from None


@contextmanager
def _refusing_broken_zip(path: Path) -> Iterator[None]:
    """Turn what the zip reader raises for a broken zip into a fault."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnusableInput([Fault(str(path), "$", f"is a broken zip ({error})", "pack it again")]) from None
