"""Markets and settings for properties of simulations."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lottery.market.canonical import Json
from lottery.simulate.simulation import Simulation
from markets import backfill_markets, main_markets
from oracle import Place


def examples(count: int) -> settings:
    slow_machine = (HealthCheck.too_slow, HealthCheck.data_too_large)
    return settings(max_examples=count, deadline=None, suppress_health_check=slow_machine)


def all_markets() -> st.SearchStrategy[Json]:
    return st.one_of(main_markets(), backfill_markets())


def places_in(simulation: Simulation, draw: int) -> dict[str, Place]:
    """Say who sits where in one draw, by the engine."""
    tickets = simulation.compiled.market.applicants.tickets
    found = {}
    for ticket, group in zip(tickets, simulation.match(draw).group_of.tolist(), strict=True):
        if group >= 0:
            program, name = simulation.compiled.group(group)
            found[ticket] = Place(program.id, name)
    return found
