"""Collect words, facts and canonical lines block by block."""

import hashlib
import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar
from unicodedata import is_normalized

import msgspec
import numpy as np
from numpy.typing import NDArray

from lottery.fast.applicant_rows import APPLICANTS_PER_BLOCK, Facts, Row, count_quotes, require
from lottery.fast.columns import Coded, Coding, FactSet, Int32s, Int64s, coded

Word = TypeVar("Word", bound=Hashable)
Number = TypeVar("Number", np.int32, np.int64, np.bool_)

_ESCAPED_CHARACTER = re.compile('[\x00-\x1f"\\\\\ud800-\udfff]')  # in canonical lines, or half of a surrogate pair


def joined(parts: Sequence[NDArray[Number]], kind: type[Number]) -> NDArray[Number]:
    """Return the blocks of an array as one array."""
    return np.concatenate(parts) if parts else np.empty(0, kind)


class GrowingColumn(Generic[Word]):
    """A column that grows block by block."""

    def __init__(self) -> None:
        self.coding = Coding[Word]()
        self._codes: list[Int32s] = []

    def add(self, words: Sequence[Word | None]) -> Int32s:
        """Add a block of words, and return their codes."""
        codes = self.coding.codes(words)
        self._codes.append(codes)
        return codes

    def column(self) -> Coded[Word]:
        """Return the whole column."""
        return Coded(self.coding.words(), joined(self._codes, np.int32))


class GrowingFacts:
    """A column of sets of facts that grows block by block."""

    def __init__(self) -> None:
        self._given = GrowingColumn[Facts]()
        self._canonical: list[Facts] = []
        self._unsorted: list[bool] = []

    def add(self, facts: Sequence[Facts]) -> Iterator[tuple[int, Facts]]:
        """Add a block of facts. Return the index and the canonical form of each one that is not canonical.

        Raises:
            Unusual: if facts repeat, need an escape, or are not in Unicode Normalization Form C.
        """
        codes = self._given.add(facts)
        for given in self._given.coding.words(len(self._canonical)):
            require(len(set(given)) == len(given))
            require(not any(_ESCAPED_CHARACTER.search(fact) or not is_normalized("NFC", fact) for fact in given))
            self._canonical.append(tuple(sorted(given)))
            self._unsorted.append(self._canonical[-1] != given)
        indices = np.flatnonzero(np.array(self._unsorted, np.bool_)[codes]).tolist()
        return ((index, self._canonical[codes[index]]) for index in indices)

    def column(self) -> Coded[FactSet]:
        """Return the whole column, with equal sets once."""
        given = self._given.column()
        same: Coded[FactSet] = coded(self._canonical)
        return Coded(same.words, same.codes[given.codes])


class CanonicalLines:
    """The canonical lines of applicants, in blocks."""

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()
        self._texts: list[bytes] = []
        self._ends: list[Int64s] = []
        self._quotes = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Write the lines of a block of rows."""
        text = self._encoder.encode_lines(rows)
        self._texts.append(text)
        self._ends.append(
            np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
        )  # a line feed inside a text is escaped
        self._quotes += count_quotes(text)

    def digest(self, head: str, order: Int64s, quotes: int) -> str:
        """Return the digest of the canonical form. `order` sorts the lines by ticket.

        Raises:
            Unusual: if the lines do not have this number of quotation marks.
        """
        require(self._quotes == quotes)
        digest = hashlib.sha256(head.encode())
        text = np.repeat(np.arange(len(self._texts)), [ends.size for ends in self._ends])
        starts = joined([np.concatenate([[0], ends[:-1] + 1]) for ends in self._ends], np.int64)
        ends = joined(self._ends, np.int64)
        for first in range(0, order.size, APPLICANTS_PER_BLOCK):
            some = order[first : first + APPLICANTS_PER_BLOCK]
            places = zip(text[some].tolist(), starts[some].tolist(), ends[some].tolist(), strict=True)
            digest.update(b"\n")
            digest.update(b"\n".join([self._texts[which][start:end] for which, start, end in places]))
        return f"sha256:{digest.hexdigest()}"
