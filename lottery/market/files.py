"""Read and write the files of markets and outcomes.

A market is one JSON document, a folder or a zip. A folder or zip has `market.json` with everything but the applicants,
and `applicants.jsonl` with one applicant on each line.
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

MAX_LINE_BYTES = 1 << 20
"""Bytes of one applicant's line, far more than any ranking needs."""

ALWAYS_ALLOWED_BYTES = 64 << 20
"""Unpacked bytes that every zip may have."""

MAX_GROWTH = 250
"""Largest ratio of unpacked to packed bytes in a larger zip.

Cities have ratios from 6 to 10. Programs with the same rules at every school, the most repetitive, have 90.
"""

ENCRYPTED = 0x1

OpenPart: TypeAlias = Callable[[str], IO[bytes]]
"""Opens one part of a folder or zip by name."""


def load_market(path: str | Path, *, track: Track = untracked) -> Market:
    """Read a market from a JSON file, a folder or a zip.

    Raises:
        UnusableInput: with every fault: its file, its JSON path, the problem and the remedy.
    """
    path = Path(path)
    with parts_of(path) as open_part:
        if open_part is not None:
            return _load_parts(open_part, path, track)
        return read_market(_decode(path.read_bytes(), str(path)), file=str(path), track=track)


@contextmanager
def parts_of(path: Path) -> Iterator[OpenPart | None]:
    """Give a function that opens the parts of a folder or a safe zip, or None for a single document.

    Raises:
        UnusableInput: if the zip is not safe, or a part cannot be read while the parts are open.
    """
    with _refusing_broken_files(path):
        if path.is_dir():
            yield lambda part: (path / part).open("rb")
        elif _is_zip(path):
            with _refusing_broken_zip(path), zipfile.ZipFile(path) as archive:
                _refuse_unsafe_zip(archive, path)
                yield archive.open
        else:
            yield None


def load_outcome(path: str | Path) -> Outcome:
    """Read an outcome from its file.

    Raises:
        UnusableInput: with every fault.
    """
    return outcome_from(read_bytes(path), path)


def outcome_from(raw: bytes, path: str | Path) -> Outcome:
    """Read an outcome from the bytes of a file. `path` is the file name for faults.

    Raises:
        UnusableInput: with every fault.
    """
    return read_outcome(_decode(raw, str(path)), file=str(path))


def read_bytes(path: str | Path) -> bytes:
    """Read a whole file.

    Raises:
        UnusableInput: if the file cannot be read.
    """
    with _refusing_broken_files(Path(path)):
        return Path(path).read_bytes()


@contextmanager
def write_whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that replaces the file at the path when it is complete. After an error, the path is unchanged.

    Raises:
        UnusableInput: if the file cannot be written.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    with _refusing_broken_files(path):
        if path.exists() and not path.is_file():  # a device or a pipe cannot be replaced
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
    """Write a market: a zip for a name ending in `.zip`, one document for `.json`, and a folder otherwise.

    The zip is not compressed, because compression gives different bytes on different machines.

    Raises:
        UnusableInput: if a file cannot be written.
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
    """Yield the value and the place of each line."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        where: Where = (None, f"{file}:{number}")
        if len(line) > MAX_LINE_BYTES:
            reader.refuse(where, f"the line is longer than {MAX_LINE_BYTES} bytes", "write one applicant on each line")
            return
        if not line.strip():
            reader.refuse(where, "the line is empty", "remove it")
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
        return stream.read(2) == b"PK"  # no JSON text starts with these bytes


def _refuse_unsafe_zip(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse a zip with other members than the two parts, or with too much data."""
    reader = Reader()
    seen: set[str] = set()
    for member in archive.infolist():
        where: Where = ((None, str(path)), member.filename)
        if _leads_outside(member.filename):
            reader.refuse(where, "the member has a path outside the zip", "do not use this zip")
        elif member.filename not in {HEAD, APPLICANTS}:
            reader.refuse(where, "the member is not part of a market", f"pack {HEAD} and {APPLICANTS} without a folder")
        elif member.filename in seen:
            reader.refuse(where, "the zip has this member more than once", "pack it once")
        elif member.flag_bits & ENCRYPTED:
            reader.refuse(where, "the member is encrypted", "pack it without a password")
        seen.add(member.filename)
    for part in sorted({HEAD, APPLICANTS} - seen):
        reader.refuse(((None, str(path)), part), "the zip does not have this member", "add it to the zip")
    max_bytes = max(ALWAYS_ALLOWED_BYTES, MAX_GROWTH * path.stat().st_size)
    if sum(member.file_size for member in archive.infolist()) > max_bytes:
        reader.refuse((None, str(path)), f"the zip unpacks to more than {max_bytes} bytes", "use the unpacked folder")
    reader.finish()


def _leads_outside(name: str) -> bool:
    return (
        ".." in PurePosixPath(name.replace("\\", "/")).parts
        or PurePosixPath(name).is_absolute()
        or bool(PureWindowsPath(name).anchor)
    )


@contextmanager
def _refusing_broken_files(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into a fault."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        file = str(error.filename or path)
        raise UnusableInput([Fault(file, "$", reason.lower(), "check the path and its permissions")]) from None


@contextmanager
def _refusing_broken_zip(path: Path) -> Iterator[None]:
    """Turn an error of the zip reader into a fault."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnusableInput([Fault(str(path), "$", f"the zip is damaged ({error})", "pack it again")]) from None
