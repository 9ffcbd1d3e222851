"""Open a OneRoster package: a zip of CSV files with a manifest (1EdTech OneRoster 1.2, CSV binding, section 2)."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader, BytesIO
from typing import Final, TypeAlias, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipExtFile, ZipFile, ZipInfo

from enrollment.exchange.csv_rosters import refuse_length, without_empty_end
from enrollment.exchange.csv_text import rows_of
from enrollment.exchange.oneroster_format import COLUMNS, FILES, NEEDED, USERS
from enrollment.exchange.rosters import Faults
from enrollment.problems import sentence

Row: TypeAlias = Mapping[str, str]

MAX_UNPACKED: Final = 1 << 30
MAX_MEMBERS: Final = 1000
ENCRYPTED: Final = 0x1

NO_ZIP: Final = sentence("must be a zip file without damage; export the package again")

UNREADABLE: Final = (BadZipFile, zlib.error, EOFError)
"""The exceptions of the standard library while it reads a damaged zip file."""

UNOPENABLE: Final = (*UNREADABLE, struct.error, RuntimeError, ValueError, OSError)
"""The exceptions of the standard library while it opens a zip file. NotImplementedError is a RuntimeError."""


NEEDED_FILE: Final = sentence("is missing; export a package of OneRoster 1.1 or 1.2, or send a plain roster as CSV")


def open_package(raw: bytes, faults: Faults) -> "PackageFiles":
    """Open a package and read its manifest.

    Raises:
        UnusableRoster: if the zip file or the manifest cannot be used.
    """
    try:
        package = ZipFile(BytesIO(raw))
    except UNOPENABLE:
        faults.end([], "no-zip", NO_ZIP)
    files = PackageFiles(package, _members(package, faults), faults)
    files.read_manifest()
    return files


def _members(package: ZipFile, faults: Faults) -> dict[str, ZipInfo]:
    """Return the package's files by name.

    Raises:
        UnusableRoster: if the zip file is too large, or has folders, repeated names, a password or unusual compression.
    """
    listed = [member for member in package.infolist() if not member.filename.startswith("__MACOSX/")]
    members = {member.filename: member for member in listed}
    if any(name.startswith("xl/") for name in members):
        detail = sentence("is an Excel workbook; save the sheet as CSV in UTF-8, and send that file as text/csv")
        faults.end([], "workbook", detail)
    if any("/" in name or "\\" in name for name in members):
        faults.add(
            [], "folder", sentence("the zip file has a folder in it; zip the files themselves, not their folder")
        )
    if len(members) < len(listed):
        faults.add([], "file-twice", sentence("the zip file has two files with the same name; keep one of each"))
    if any(member.flag_bits & ENCRYPTED for member in listed):
        faults.add([], "encrypted", sentence("the zip file has a password; send a zip file without a password"))
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in listed):
        faults.add(
            [], "compression", sentence("the zip file uses an unusual compression; use the usual zip compression")
        )
    if sum(member.file_size for member in listed) > MAX_UNPACKED or len(listed) > MAX_MEMBERS:
        detail = sentence("the unpacked files are larger than {most} bytes; send fewer schools at a time")
        faults.add([], "too-large-unpacked", detail, most=MAX_UNPACKED)
    faults.refuse()
    return members


class PackageFiles:
    """The files of a package whose version is known."""

    def __init__(self, package: ZipFile, members: Mapping[str, ZipInfo], faults: Faults) -> None:
        self._zip, self._members, self._faults = package, members, faults
        self.version = "1.2"
        self.wrong_length = Counter[str]()
        """Rows of the wrong length, by file."""

    def __contains__(self, file: str) -> bool:
        return f"{file}.csv" in self._members

    def read_manifest(self) -> None:
        """Find the version, and refuse files on which the manifest and the zip file disagree.

        Raises:
            UnusableRoster: if the rest of the package cannot be read.
        """
        if "manifest.csv" not in self._members:
            self._faults.end(["manifest.csv"], "missing-file", NEEDED_FILE)
        properties = {row["propertyName"].strip(): (line, row["value"].strip()) for line, row in self.rows("manifest")}
        self._faults.refuse()
        line, self.version = properties.get("oneroster.version", (1, ""))
        if self.version not in NEEDED:
            detail = sentence(
                "must have the property oneroster.version, with the value 1.1 or 1.2; export the package again"
            )
            self._faults.end(["manifest.csv", line, "value"], "unknown-version", detail)
        for file in FILES:
            self._refuse_mismatch(file, properties.get(f"file.{file}"))
        self._faults.refuse()

    def _refuse_mismatch(self, file: str, row: tuple[int, str] | None) -> None:
        """Refuse a file that is in the manifest but not in the zip file, or the other way around."""
        needed, present = file in NEEDED[self.version], file in self
        if row is None:
            self._note_missing_row(file, needed=needed, present=present)
            return
        (line, mode), name = row, f"{file}.csv"
        place = ("manifest.csv", line, "value")
        if mode not in ("bulk", "delta", "absent"):
            self._faults.add(place, "unknown-mode", sentence("must be bulk or absent"))
        elif present and mode == "absent":
            self._faults.add(
                place,
                "not-absent",
                sentence("is absent, but the zip file has {file}.csv; remove the file or change the row"),
                file=file,
            )
        elif not present and mode != "absent":
            self._faults.add(
                [name],
                "missing-file",
                sentence("is in the manifest but not in the zip file; add the file or change the manifest"),
            )
        elif needed and mode != "bulk":
            detail = sentence("must be bulk, because a roster is a complete package; export all data, not only changes")
            self._faults.add(place, "not-whole", detail)

    def _note_missing_row(self, file: str, *, needed: bool, present: bool) -> None:
        """Take a file without a row in the manifest for complete if the zip file has it, and for absent if not."""
        if needed and not present:
            self._faults.add([f"{file}.csv"], "missing-file", NEEDED_FILE)
        elif present or self.version == "1.2":
            detail = sentence("has no row file.{file}, which OneRoster needs; the file was read as {mode}")
            mode = "bulk" if present else "absent"
            self._faults.note(["manifest.csv"], "missing-row", detail, file=file, mode=mode)

    def rows(self, file: str) -> Iterator[tuple[int, Row]]:
        """Yield a file's rows by column, each with its line. Extra columns must begin with `metadata.`."""
        name = f"{file}.csv"
        columns = USERS[self.version] if file == "users" else COLUMNS[file]
        with self._open(name) as stream:
            rows = rows_of(name, stream, self._faults)
            header = [field.strip() for field in next(rows, (1, []))[1]]
            self._refuse_header(name, header, columns)
            for line, found in rows:
                fields = without_empty_end(found, len(header))
                if len(fields) == len(header):
                    yield line, dict(zip(columns, fields, strict=False))
                else:
                    refuse_length(name, line, found=len(fields), wanted=len(header), faults=self._faults)
                    self.wrong_length[file] += 1

    def _refuse_header(self, name: str, header: Sequence[str], columns: Sequence[str]) -> None:
        wrong = next((column for at, column in enumerate(columns) if header[at : at + 1] != [column]), None)
        if wrong is not None:
            detail = sentence("is missing or in the wrong position in the header; OneRoster {version} has: {columns}")
            self._faults.end([name, 1, wrong], "columns", detail, version=self.version, columns=", ".join(columns))
        if not all(field.startswith("metadata.") for field in header[len(columns) :]):
            detail = sentence(
                "has columns that OneRoster {version} does not have; extra columns must begin with “metadata.”"
            )
            self._faults.end([name, 1], "columns", detail, version=self.version)

    def _open(self, name: str) -> BufferedReader:
        try:
            return BufferedReader(cast("ZipExtFile", self._zip.open(self._members[name])))
        except UNOPENABLE:
            self._faults.end([name], "no-zip", NO_ZIP)
