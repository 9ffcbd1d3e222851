"""Check a file of zones in a process of its own, with limits on time and memory.

A polygon that crosses itself a hundred thousand times, or thousands of overlapping areas, take minutes to check. Such a
file would block the web process. A small file cannot, so the web process checks small files itself.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from enrollment.dates import values_to_store
from enrollment.json_depth import BodyTooDeep, body_too_deep
from enrollment.problems import Fault, sentence
from enrollment.request_bodies import Upload
from enrollment.signals import end_with_input
from enrollment.zones.areas import ZoneShape
from enrollment.zones.geojson import UnusableZones, read_zones
from enrollment.zones.overlaps import overlaps
from enrollment.zones.plausibility import Point, misplaced, schools_in_no_zone
from enrollment.zones.properties import Known, PropertyNames

SMALL = 1 << 13
"""The largest file, in bytes, that the web process checks itself. The worst file of this size takes a tenth of a
second. Two areas in a file of 64 KiB can cross so often that their comparison takes seconds and 600 MiB."""

MEMORY = 512 << 20
"""The most memory for a check, in bytes."""

NICE = 5
"""The niceness of a check, so that requests on the same core go first."""

START_SECONDS = 20
"""Extra seconds for the start of a check and for waiting while other work uses the core."""

OUT_OF_TIME = (-signal.SIGXCPU, -signal.SIGKILL)
"""The exit statuses of a check that ran out of processor time."""

TOO_LONG = sentence(
    "takes more than {seconds} seconds to check; simplify the areas in a mapping program, or remove overlapping areas"
)
TOO_LARGE = sentence(
    "takes more than {memory} MiB of memory to check; simplify the areas in a mapping program, or remove overlapping "
    "areas"
)


class FaultMessage(msgspec.Struct, frozen=True):
    """A fault or a note, between the processes."""

    pointer: str
    code: str
    detail: str
    values: dict[str, str | int]


class AreaMessage(msgspec.Struct, frozen=True):
    """An area of a zone, between the processes."""

    zone: str
    name: str | None
    school: str | None
    grades: list[str] | None
    vintage: str
    wkb: bytes


@dataclass(frozen=True, slots=True)
class City:
    """What a file of zones is held against."""

    schools: Mapping[str, str]
    """The ids of the directory's schools, by id and NCES id."""
    grades: Sequence[str]
    points: Mapping[str, Point]
    """The points of the schools that take part, by id."""


class Question(msgspec.Struct, frozen=True):
    """The input of a check: the file, and the names that it may use."""

    file: int
    parent: int
    """The reading end of a pipe. The pipe closes when the web process ends, in whatever way it ends."""
    city: City
    names: PropertyNames
    seconds: int


class Answer(msgspec.Struct, frozen=True):
    """The result of a check."""

    deep: bool = False
    faults: list[FaultMessage] = []
    areas: list[AreaMessage] = []
    notes: list[FaultMessage] = []
    schools_outside: list[str] = []


@dataclass(frozen=True, slots=True)
class CheckedZones:
    """Valid areas, and notes about them."""

    shapes: Sequence[ZoneShape]
    notes: Sequence[Fault]
    schools_outside: Sequence[str]
    """The schools whose point is in no area."""


def check_zones(upload: Upload, city: City, names: PropertyNames, *, seconds: int) -> CheckedZones:
    """Read and check a file of zones within a time limit.

    Raises:
        UnusableZones: with the faults, or if the check takes too much time or memory.
        BodyTooDeep: if the file nests lists and objects too deeply.
    """
    if upload.size <= SMALL:
        return _checked(upload.read(), city, names, seconds=seconds)
    upload.file.seek(0)
    with _lifeline() as parent:
        answer = _ask(Question(upload.file.fileno(), parent, city, names, seconds))
    if answer.deep:
        raise body_too_deep()
    if answer.faults:
        raise UnusableZones(faults=list(map(_fault, answer.faults)))
    return CheckedZones(list(map(_shape, answer.areas)), list(map(_fault, answer.notes)), answer.schools_outside)


def _checked(
    raw: bytes, city: City, names: PropertyNames, *, seconds: float, checking: Callable[[int], None] = lambda _: None
) -> CheckedZones:
    """Read and check a file in this process."""
    file = read_zones(raw, known=Known(city.schools, city.grades), names=names, checking=checking)
    del raw
    about_place = list(misplaced(file.shapes, city.points))
    if any(fault.code == "swapped" for fault in about_place):
        raise UnusableZones(faults=about_place)
    notes = [*about_place, *file.notes, *overlaps(file.shapes, file.places, seconds=seconds, checking=checking)]
    return CheckedZones(file.shapes, notes, schools_in_no_zone(file.shapes, city.points))


@contextmanager
def _lifeline() -> Iterator[int]:
    """Yield the reading end of a pipe; only this process has the writing end."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(writing)
        os.close(reading)


def _ask(question: Question) -> Answer:
    command = [sys.executable, "-m", "enrollment.zones.import_check"]
    try:
        ended = subprocess.run(  # noqa: S603 - this module itself
            command,
            input=msgspec.msgpack.encode(question),
            pass_fds=[question.file, question.parent],
            capture_output=True,
            timeout=question.seconds + START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return _given_up(late.stderr or b"", TOO_LONG, seconds=question.seconds)
    if ended.returncode in OUT_OF_TIME:
        return _given_up(ended.stderr, TOO_LONG, seconds=question.seconds)
    if ended.returncode != 0:
        return _given_up(ended.stderr, TOO_LARGE, memory=MEMORY >> 20)
    return msgspec.msgpack.decode(ended.stdout, type=Answer)


def _given_up(progress: bytes, detail: str, **values: str | int) -> Answer:
    """Name the feature that the check had reached when time or memory ran out."""
    reached = [line for line in progress.decode(errors="replace").splitlines() if line.isdigit()]
    pointer = f"/features/{reached[-1]}" if reached else ""
    return Answer(faults=[FaultMessage(pointer, "too-intricate", detail, values)])


def _fault(message: FaultMessage) -> Fault:
    return Fault(message.pointer, message.code, message.detail, message.values)


def _message(fault: Fault) -> FaultMessage:
    return FaultMessage(fault.pointer, fault.code, fault.detail, values_to_store(fault.values))


def _shape(area: AreaMessage) -> ZoneShape:
    return ZoneShape.from_wkb(
        area.wkb, zone=area.zone, name=area.name, school=area.school, grades=area.grades, vintage=area.vintage
    )


def _area(shape: ZoneShape) -> AreaMessage:
    grades = None if shape.grades is None else list(shape.grades)
    return AreaMessage(shape.zone, shape.name, shape.school, grades, shape.vintage, shape.wkb())


def main() -> None:
    """Answer the question on standard input; write the number of each feature to standard error."""
    question = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Question)
    end_with_input(question.parent)
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + question.seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)
    sys.stdout.buffer.write(msgspec.msgpack.encode(_answer(question)))


def _answer(question: Question) -> Answer:
    try:
        checked = _checked(
            _content(question.file), question.city, question.names, seconds=question.seconds / 2, checking=_say
        )
    except UnusableZones as unusable:
        return Answer(faults=list(map(_message, unusable.faults)))
    except BodyTooDeep:
        return Answer(deep=True)
    return Answer(
        areas=list(map(_area, checked.shapes)),
        notes=list(map(_message, checked.notes)),
        schools_outside=list(checked.schools_outside),
    )


def _content(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


def _say(feature: int) -> None:
    sys.stderr.write(f"{feature}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
