"""Match a market, verify and explain an outcome, and simulate rules, without a database or a web server."""

from lottery.engines import match_market, simulate_market
from lottery.market.files import load_market, load_outcome
from lottery.market.json_reader import UnusableInput
from lottery.market.outcome import Outcome
from lottery.market.reader import read_market
from lottery.match.complaints import Complaint
from lottery.match.lottery_numbers import UnusableSeed
from lottery.match.verify import verify

__all__ = [
    "Complaint",
    "Outcome",
    "UnusableInput",
    "UnusableSeed",
    "load_market",
    "load_outcome",
    "match_market",
    "read_market",
    "simulate_market",
    "verify",
]
