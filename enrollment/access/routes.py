"""Everything about access over HTTP."""

from fastapi import APIRouter

from enrollment.access import partner_routes, security_log_routes, session_routes, staff_routes

router = APIRouter()
for part in (session_routes, staff_routes, partner_routes, security_log_routes):
    router.include_router(part.router)
