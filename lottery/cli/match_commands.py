"""The commands `match`, `verify`, `explain` and `generate` (docs/reference/specification.md, section 10)."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from lottery.cli.terminal import progress_bars
from lottery.engines import Engine, engine_here, match_market, refuse_without_fast_engine
from lottery.market.files import load_market, load_outcome, outcome_from, read_bytes, save_market, write_whole
from lottery.market.json_reader import Fault, UnusableInput
from lottery.market.model import Kind, Market
from lottery.market.outcome import Outcome
from lottery.market.reader import read_market
from lottery.match.complaints import Complaint, Rule
from lottery.match.lottery_numbers import UnusableSeed
from lottery.match.verify import CHECKS, verify
from lottery.progress import Track, untracked

DONE, REFUSED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; the answer is no; unusable input; interrupted."""

MAX_COMPLAINTS = 10
"""Printed complaints about each rule; the output counts the rest."""


def run_match(options: argparse.Namespace) -> int:
    """Match a market and write the outcome."""
    refuse_overwriting(options.output, options.market)
    engine = Engine(options.engine) if options.engine else engine_here()
    market: Market | None = None
    with progress_bars() as track:
        if engine is Engine.FAST and not options.report:
            outcome = _match_columns(options, track)
        else:
            market = load_market(options.market, track=track)
            outcome = match_market(market, seed=options.seed, seeds=seeds_of(options), engine=engine, track=track)
    if options.output is None:
        sys.stdout.buffer.write(outcome.to_bytes())
    else:
        with write_whole(options.output) as stream:
            stream.write(outcome.to_bytes())
    if market is not None and options.report:
        _print_report(market, outcome, options)
    return DONE


def _match_columns(options: argparse.Namespace, track: Track) -> Outcome:
    """Read a market straight into columns, and match it with the fast engine."""
    refuse_without_fast_engine()
    from lottery.fast.background import load_beside
    from lottery.fast.column_reader import load_columns

    if track is untracked:
        market = load_beside(options.market, _make_ready)
    else:  # a progress bar can show only the work of this process
        market = load_columns(options.market, track=track)
    from lottery.fast.engine import match_columns

    return match_columns(market, seed=options.seed, seeds=seeds_of(options), track=track)


def _make_ready() -> None:
    from lottery.fast.ranking_loops import make_ready

    make_ready()


def _print_report(market: Market, outcome: Outcome, options: argparse.Namespace) -> None:
    from lottery.cli.tables import print_report
    from lottery.explain.report import report

    counted = report(market, outcome, seeds=seeds_of(options))
    print_report(counted, sys.stderr if options.output is None else sys.stdout)


def run_verify(options: argparse.Namespace) -> int:
    """Check an outcome and print the result of each check."""
    with progress_bars() as track:
        market = load_market(options.market, track=track)
        raw = read_bytes(options.outcome)
        outcome = outcome_from(raw, options.outcome)
        complaints = list(verify(market, outcome, seeds=seeds_of(options), track=track))
    if not complaints and raw != outcome.to_bytes():
        text = "the file has the right content, but is not canonical JSON with one LF at the end"
        complaints.append(Complaint(Rule.REFERENCE, None, None, text))
    broken = {complaint.rule for complaint in complaints}
    for rule in [Rule.SEED, *(CHECKS if Rule.SEED not in broken else ())]:
        print(f"{'NO ' if rule in broken else 'yes'}  {rule}")
        of_rule = [complaint for complaint in complaints if complaint.rule is rule]
        for complaint in of_rule[:MAX_COMPLAINTS]:
            print(f"       {complaint.without_rule()}")
        if len(of_rule) > MAX_COMPLAINTS:
            print(f"       and {len(of_rule) - MAX_COMPLAINTS} more")
    if complaints:
        print(f"The outcome is wrong. Complaints: {len(complaints)}. Do not publish this outcome.")
        return REFUSED
    print(f"The outcome is right. With a seat: {len(outcome.placements)} children. Without: {len(outcome.unplaced)}.")
    return DONE


def run_explain(options: argparse.Namespace) -> int:
    """Explain one applicant's result."""
    from lottery.explain.explainer import Explainer, Extract, UnfitOutcome, UnknownApplicant
    from lottery.explain.language import Language, UnknownLanguage
    from lottery.explain.sentences import explanation_in_words

    try:
        language = Language(options.lang)
        with progress_bars() as track:
            market = load_market(options.market, track=track)
        explainer = Explainer(Extract.whole(market, load_outcome(options.outcome)), seeds=seeds_of(options))
        explanation = explainer.explain(options.applicant)
    except UnknownLanguage as refusal:
        raise UnusableInput([Fault("--lang", "$", *refusal.args[0].split("; ", 1))]) from None
    except UnfitOutcome as refusal:
        raise UnusableInput([Fault(options.outcome, "$", *refusal.args[0].split("; ", 1))]) from None
    except UnknownApplicant as refusal:
        raise UnusableInput([Fault("--applicant", "$", *refusal.args[0].split("; ", 1))]) from None
    lines = explanation_in_words(explanation, language)
    if options.json:
        said = {"language": language.code, "direction": language.direction, "lines": lines}
        print(json.dumps({**explanation.document(), "in_words": said}, ensure_ascii=False, indent=2))
    else:
        print(*lines, sep="\n")
    return DONE


def run_generate(options: argparse.Namespace) -> int:
    """Make the market of an invented city, or of the summer after its main round."""
    from lottery.generate.generate import ImpossiblePlan, Plan, Shape, generate, generate_summer

    if (options.round == Kind.BACKFILL) != (options.after is not None):
        raise UnusableInput([Fault("generate", "$", "--round backfill and --after go together", "use both or neither")])
    is_city = options.shape == Shape.CITY
    plan = Plan(
        applicants=options.applicants,
        programs=options.programs,
        schools=options.schools,
        choices=options.choices,
        shape=Shape(options.shape),
        reserves=is_city if options.reserves is None else options.reserves,
        siblings=is_city if options.siblings is None else options.siblings,
        seed=options.seed,
    )
    try:
        made = generate(plan)
        if options.round == Kind.BACKFILL:
            outcome = load_outcome(options.after)
            main_round = read_market({**made.head, "applicants": list(made.applicants)})
            if outcome.market != main_round.digest():
                problem = "belongs to another market"
                remedy = (
                    "use the same --applicants, --programs or --schools, and --seed as for the market of this outcome"
                )
                raise UnusableInput([Fault(options.after, "$.market", problem, remedy)])
            made = generate_summer(plan, outcome.document())
    except ImpossiblePlan as refusal:
        raise UnusableInput([Fault("generate", "$", *str(refusal).split("; ", 1))]) from None
    with progress_bars() as track:
        save_market(options.output, made.head, track(made.applicants, "writing", None))
    return DONE


def seeds_of(options: argparse.Namespace) -> Mapping[str, bytes]:
    """Return the seeds of rounds in the command.

    Raises:
        UnusableSeed: if a round has two different seeds.
    """
    seeds: dict[str, bytes] = {}
    for round_id, seed in options.seed_of:
        if seeds.setdefault(round_id, seed) != seed:
            raise UnusableSeed(f"round {round_id} has two different seeds; give its seed once")
    return seeds


def refuse_overwriting(output: Path | None, *markets: str) -> None:
    """Refuse to overwrite a market that the command reads.

    Raises:
        UnusableInput: if the output is one of these markets.
    """
    for market in markets:
        if output and output.exists() and Path(market).exists() and output.samefile(market):
            raise UnusableInput([Fault(str(output), "$", "is the market file", "choose another file")])
