"""Presets over HTTP, for anybody."""

from typing import Annotated

from fastapi import APIRouter, Path

from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.rules.presets import (
    Preset,
    PresetListed,
    presets,
    read_preset,
    settled_for,
)

router = APIRouter(tags=["presets"])


@router.get("/v1/presets")
def list_presets(paging: Paging) -> Page[PresetListed]:
    """List the presets: rule sets that a school may start from, each drawn from a real system."""
    return paging.read_among(list(presets().values()), by=lambda preset: preset.id).show(Preset.listed)


@router.get("/v1/presets/{preset}")
def read_one_preset(preset: Annotated[Id, Path()]) -> Preset:
    """Read a preset: its rule sets, what of a cycle belongs to it, where it is from and what it does not say."""
    return read_preset(preset)


@router.get("/v1/cycles/{cycle}/presets/{preset}")
def read_preset_for_cycle(
    session: InTransaction, *, cycle: Annotated[Id, Path()], preset: Annotated[Id, Path()]
) -> Preset:
    """Read a preset with its yearly days settled for a cycle.

    A last date is the first such day after the main round; later targets come one after the other from the deadline on.
    """
    return settled_for(read_preset(preset), read_cycle(session, cycle).cycle)
