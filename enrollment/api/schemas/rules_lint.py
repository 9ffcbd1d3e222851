"""Answers of lint: rules that cannot do what they say."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire
from enrollment.languages import Say
from enrollment.rules.lint import Linted


class RulesFindingOut(Wire):
    """A rule that cannot work as written, or that has an effect that a school may not expect. Findings only warn."""

    code: Annotated[str, Field(examples=["class-unreachable"])]
    weight: Annotated[
        Literal["cannot", "note"],
        Field(description="cannot: the rule cannot work as written. note: an effect that a school may not expect."),
    ]
    pointer: Annotated[
        str,
        Field(description="The place in the rules; /rules for a part of another level.", examples=["/rules/classes/1"]),
    ]
    programs: Annotated[list[str], Field(description="The programs where this is so.")]
    detail: Annotated[str, Field(description="What happens and what to do, in the reader's language.")]


class RulesLintOut(Wire):
    """What lint finds in rules that were not saved."""

    findings: list[RulesFindingOut]


def findings_shown(found: Sequence[Linted], say: Say) -> list[RulesFindingOut]:
    """Return findings in the reader's language."""
    return [
        RulesFindingOut(
            code=one.finding.code,
            weight=one.finding.weight.value,
            pointer=one.finding.pointer,
            programs=list(one.programs),
            detail=say(one.finding.detail, **one.finding.values),
        )
        for one in found
    ]
