"""The examples in the reference of rules, with the sentences that the service makes of them."""

import json
import re

from enrollment.rules.model import RulesInput, resolve
from enrollment.rules.sentences import rules_in_words
from enrollment.rules.to_market import ProgramContext, program_document, read_back
from pages import text

PAGE = "docs/reference/rules.md"
PLACE = ProgramContext(program="lincoln-kg", school="lincoln", grade="KG", zones=["Z1"])
EXAMPLE = re.compile(r"^```json\n(?P<rules>.*?)^```\n\n(?P<shown>(?:>[^\n]*\n)+)", re.DOTALL | re.MULTILINE)
CONDITION = re.compile(r"^\| `(?P<condition>\{.*\})` \| (?P<shown>.*) \|$", re.MULTILINE)


def sentences(rules: str) -> list[str]:
    """Return the sentences of a program with 40 seats and these rules."""
    said = RulesInput.model_validate({"seats": {"match": 40}, **json.loads(rules)})
    resolved = resolve(operator=None, school=None, program=said).rules
    return rules_in_words(resolved, read_back(program_document(resolved, PLACE)), "en")


def own_sentences(rules: str) -> list[str]:
    """Return the sentences that a program with no rules of its own does not have."""
    default = sentences("{}")
    return [sentence for sentence in sentences(rules) if sentence not in default]


def quoted(rules: str) -> str:
    """Return the sentences of an example as the page shows them: all of them, if none is its own."""
    return "\n>\n".join(f"> {sentence}" for sentence in own_sentences(rules) or sentences(rules)) + "\n"


def eligible(condition: str) -> str:
    """Return the sentence of a program that only children who meet the condition can attend."""
    (sentence,) = own_sentences(f'{{"eligible": {condition}}}')
    return sentence


def updated() -> str:
    """Return the page with the sentences that the service makes now."""
    page = EXAMPLE.sub(
        lambda found: found[0].replace(found["shown"], quoted(found["rules"])),
        text(PAGE),
    )
    return CONDITION.sub(lambda found: f"| `{found['condition']}` | {eligible(found['condition'])} |", page)
