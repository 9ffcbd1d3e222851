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
    "catalog:read": "Read cycles, schools and programs. They are public; the scope only records the use.",
    "applications:read": "Read the applications that the partner made.",
    "applications:write": "Make and change applications and their rankings.",
    "results:read": "Read results, waitlist places and explanations.",
    "offers:write": "Accept and decline offers, and leave waitlists.",
}

STAFF_SCOPES: Mapping[str, str] = {
    "records:read": "Read the records that the role may see.",
    "schools:write": "Opt schools in, and set rules.",
    "claims:decide": "Approve and deny claims.",
    "catalog:write": "Set cycles, operators, schools, programs, zones.",
    "access:manage": "Make partners and staff, and give roles.",
    "rounds:run": "Rehearse, freeze, draw, match, void.",
    "rounds:publish": "Publish a round that another administrator ran.",
    "placements:write": "Request administrative placements, and approve the requests of others.",
}
