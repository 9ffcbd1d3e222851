"""Invent a market without a city: one grade and equal programs, for measurements and hard cases."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from lottery.generate.applicants import Applying
from lottery.generate.dice import Dice, Weighted, key_of
from lottery.market.canonical import Json

GRADE = "KG"
MAX_CHOICES = 10

_FLAGS = ("c0", "c1", "c2", "c3")
_SEATS_FOR_TEN = 9
_TWINS = 10  # percent of the applicants have a twin
_TOGETHER = 40  # percent of the pairs want to be together
_ZIPF = 10_000_000

_RESERVES: Sequence[Sequence[Mapping[str, Json]]] = (
    [],
    [{"name": "c3", "percent": 20, "when": {"has": "c3"}}],
    [
        {"name": "c2", "percent": 30, "when": {"has": "c2"}, "priorities": []},
        {"name": "c3", "percent": 10, "when": {"has": "c3"}, "overflow": "closed"},
    ],
)


def equally_liked(programs: int) -> list[int]:
    """Return weights of programs that are equally popular."""
    return [1] * programs


def zipf_liked(programs: int, seed: int) -> list[int]:
    """Return weights by Zipf's law: the n-th most popular program has 1/n of the highest weight."""
    places = Dice(key_of(seed, "popularity")).shuffled(range(1, programs + 1))
    return [_ZIPF // place + 1 for place in places]


class FlatMarket:
    """Programs with weights, seats for nine in ten applicants, and applicants with one of four flags."""

    def __init__(
        self, weights: Sequence[int], *, applicants: int, choices: int, seed: int, reserves: bool, siblings: bool
    ) -> None:
        digits = len(str(len(weights)))
        self._ids = [f"p{number:0{digits}}" for number in range(1, len(weights) + 1)]
        self._liked = Weighted(self._ids, weights)
        self._seats = even_shares((applicants * _SEATS_FOR_TEN + 9) // 10, len(weights))
        self._choices = choices
        self._seed = seed
        self._reserves = reserves
        self._siblings = siblings
        self.policy: Mapping[str, Json] = {
            "tie_break": "single",
            "late": "after",
            "grade_order": [GRADE],
            "twins": "share" if siblings else "separate",
        }
        self.offered = {GRADE: self._ids}
        self.screened: Sequence[str] = ()

    def programs(self) -> Iterator[dict[str, Json]]:
        """Yield the programs, each in its own school."""
        for number, (program, seats) in enumerate(zip(self._ids, self._seats, strict=True)):
            yield {
                "id": program,
                "school": program,
                "grade": GRADE,
                "seats": seats,
                # Each program has its own order of the flags, so that rejection chains are long.
                "priorities": [
                    {"name": flag, "when": {"has": flag}}
                    for flag in Dice(key_of(self._seed, "classes", number)).shuffled(_FLAGS)
                ],
                **(self._reserves_of(number) if self._reserves else {}),
            }

    def applicants(self, families: str, number: int, *, grades: AbstractSet[str]) -> Iterator[Applying]:  # noqa: ARG002
        """Yield `number` applicants of these families, all of one grade."""
        key, pairs = key_of(self._seed, families), key_of(self._seed, families, "pair")
        for turn in range(number):
            dice = Dice(key, turn)
            ticket = dice.ticket()
            facts: dict[str, Json] = {"flags": [dice.pick(_FLAGS)]}
            if self._siblings:
                facts |= _household(Dice(pairs, turn // 2), f"{families}-{turn // 2}")
            yield Applying(ticket, GRADE, self._liked.pick_distinct(dice, self._choices), facts)

    def _reserves_of(self, number: int) -> dict[str, Json]:
        dice = Dice(key_of(self._seed, "reserves", number))
        reserves = dice.pick(_RESERVES)
        groups = ["open", *(str(reserve["name"]) for reserve in reserves)]
        return {"reserves": list(reserves), "precedence": dice.shuffled(groups)}


def even_shares(total: int, parts: int) -> list[int]:
    """Divide a total into parts as evenly as whole numbers allow."""
    share, more = divmod(total, parts)
    return [share + (number < more) for number in range(parts)]


def _household(dice: Dice, name: str) -> dict[str, Json]:
    twins = dice.percent(_TWINS)
    return {"household": name if twins else None, "together": twins and dice.percent(_TOGETHER)}
