"""Read the rows of a CSV file as spreadsheets and school systems write it."""

import csv
import re
from collections.abc import Iterator
from io import BufferedReader, BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Final

from enrollment.exchange.rosters import Faults
from enrollment.problems import sentence

if TYPE_CHECKING:
    import _csv

MAX_LINES: Final = 10_000_000
MAX_LINE_LENGTH: Final = 1 << 20

BYTE_ORDER_MARKS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""What Excel writes at the start of "CSV UTF-8" and of "Unicode Text" (Unicode 15, section 23.8)."""

UNDECODED: Final = re.compile("[\ud800-\udfff]")
"""What stands in the place of bytes that are not text (PEP 383)."""

DELIMITERS: Final = ",;\t|"
ZIP_SIGNATURE: Final = b"PK\x03\x04"
OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"
DECLARED: Final = "sep="
"""Excel's own first line, which names the delimiter, such as `sep=;`."""


def rows_of(
    file: str, stream: BufferedReader | BytesIO, faults: Faults, *, delimiters: str = ","
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a file that are not empty, each with its first line.

    The text is UTF-8, or what a byte order mark says. Lines end in any of the three ways that computers know. A first
    line `sep=` names the delimiter. Otherwise the first line that is not empty shows it.

    Args:
        file: the name of the file in faults.
        stream: the file, at its start.
        faults: receives faults.
        delimiters: the delimiters that the file may use.

    Raises:
        UnusableRoster: if the rest of the file cannot be read.
    """
    start = stream.read(4)
    stream.seek(0)
    if start in (ZIP_SIGNATURE, OLD_EXCEL):
        detail = sentence("is a workbook or a zip file and not CSV; save the sheet as CSV in UTF-8, and send that file")
        faults.end([file], "not-csv", detail)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")
    lines = _Lines(file, TextIOWrapper(stream, encoding, errors="surrogateescape", newline=None), faults)
    first = next((line for line in lines if line.strip()), "")
    skipped = lines.number - 1
    if first.lower().startswith(DECLARED):
        delimiter, skipped = first.strip()[len(DECLARED) :], skipped + 1
        if len(delimiter) != 1 or delimiter not in delimiters:
            faults.end(
                [file, lines.number], "wrong-delimiter", sentence("must name a comma, a semicolon, a tab or a bar")
            )
        reader = csv.reader(lines, strict=True, delimiter=delimiter)
    else:
        reader = csv.reader(_chain(first, lines), strict=True, delimiter=_delimiter(first, delimiters))
    yield from _rows(file, reader, skipped, faults)


def _rows(file: str, reader: "_csv.Reader", skipped: int, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = skipped + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            faults.end([file, line], "broken-row", sentence("cannot be read as CSV; check quotation marks"))
        if fields:
            yield line, fields


def _delimiter(header: str, delimiters: str) -> str:
    """Return the delimiter that a header uses most."""
    return max(delimiters, key=header.count)


def _chain(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


class _Lines:
    """The lines of a text, with limits."""

    def __init__(self, file: str, text: TextIOWrapper, faults: Faults) -> None:
        self._file, self._text, self._faults = file, text, faults
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        self.number += 1
        if self.number > MAX_LINES:
            detail = sentence("is beyond the limit of {most} lines; send fewer schools at a time")
            self._faults.end([self._file, self.number], "too-many-lines", detail, most=MAX_LINES)
        line = self._text.readline(MAX_LINE_LENGTH)
        if not line.isascii() and UNDECODED.search(line):
            detail = sentence("is not UTF-8 text; save the file as CSV in UTF-8")
            self._faults.end([self._file, self.number], "not-utf-8", detail)
        if len(line) == MAX_LINE_LENGTH:
            detail = sentence("is too long for a line of a roster; export the roster again")
            self._faults.end([self._file, self.number], "long-line", detail)
        if not line:
            raise StopIteration
        return line
