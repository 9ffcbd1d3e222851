"""Routes of presets, open to everybody."""

from typing import Annotated

from fastapi import APIRouter, Path

from enrollment.api.schemas.presets import PresetListedOut
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.rules.presets import (
    Preset,
    presets,
    read_preset,
    settled_for,
)

router = APIRouter(tags=["presets"])


@router.get("/v1/presets")
def list_presets(paging: Paging) -> Page[PresetListedOut]:
    """List the presets: sets of rules from real enrollment systems that a school can copy and edit."""
    return paging.read_among(list(presets().values()), by=lambda preset: preset.id).show(_listed)


@router.get("/v1/presets/{preset}", operation_id="readPreset")
def read_one_preset(preset: Annotated[Id, Path()]) -> Preset:
    """Read a preset: its sets of rules, the cycle policy that it needs, its sources and its limits."""
    return read_preset(preset)


@router.get("/v1/cycles/{cycle}/presets/{preset}")
def read_preset_for_cycle(
    session: InTransaction, *, cycle: Annotated[Id, Path()], preset: Annotated[Id, Path()]
) -> Preset:
    """Read a preset with the dates of a cycle in place of its yearly days.

    A last date is the first such day after the main round. Later targets follow each other from the deadline on.
    """
    return settled_for(read_preset(preset), read_cycle(session, cycle).cycle)


def _listed(preset: Preset) -> PresetListedOut:
    return PresetListedOut(id=preset.id, name=preset.name, system=preset.system, shows=preset.shows)
