"""The scopes that partners' and staff tokens can have."""

from collections.abc import Mapping
from typing import Literal

PartnerScope = Literal["catalog:read", "applications:read", "applications:write", "results:read", "offers:write"]
StaffScope = Literal[
    "records:read",
    "schools:write",
    "claims:decide",
    "catalog:write",
    "access:manage",
    "rounds:run",
    "rounds:publish",
    "placements:write",
]

PARTNER_SCOPES: Mapping[str, str] = {
    "catalog:read": "Read cycles, schools and programs; they are public, and the scope is for the sake of the record.",
    "applications:read": "Read the applications that the partner brought.",
    "applications:write": "Make and change them, and their rankings.",
    "results:read": "Read their results, waitlist places and explanations.",
    "offers:write": "Accept and decline their offers, and leave waitlists.",
}

STAFF_SCOPES: Mapping[str, str] = {
    "records:read": "Read what the role may see.",
    "schools:write": "Take part, and set rules.",
    "claims:decide": "Approve and deny claims.",
    "catalog:write": "Set cycles, operators, schools, programs, zones.",
    "access:manage": "Make partners and staff, and give roles.",
    "rounds:run": "Rehearse, freeze, draw, match, void.",
    "rounds:publish": "Publish what another administrator ran.",
    "placements:write": "Ask for placements outside the lottery, and approve those of others.",
}
