"""Match a market, check an outcome, explain it, see what rules do: no database, no web."""

from lottery.draw import UnusableSeed
from lottery.engines import match, simulate
from lottery.files import load_market, load_outcome
from lottery.outcome import Outcome
from lottery.read_market import read_market
from lottery.strict import UnusableInput
from lottery.verify import Complaint, verify

__all__ = [
    "Complaint",
    "Outcome",
    "UnusableInput",
    "UnusableSeed",
    "load_market",
    "load_outcome",
    "match",
    "read_market",
    "simulate",
    "verify",
]
