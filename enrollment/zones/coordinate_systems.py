"""Recognize the names of WGS84 in longitude and latitude, the coordinate system of GeoJSON (RFC 7946, section 4).

GeoJSON of 2008 had a member `crs`, and mapping programs still write it. Its name is compared as a whole: "WGS84 / UTM
zone 18N" contains the name of WGS84 and is another system.
"""

import re
from collections.abc import Mapping

from lottery.market.canonical import Json

EPSG_CODES = frozenset({"4326", "4979"})
"""WGS84 in two and three dimensions (EPSG registry)."""

OGC_CODES = frozenset({"CRS84", "CRS84H"})
"""WGS84 with longitude first (OGC 09-048r5)."""

PLAIN_NAMES = frozenset(
    {"WGS84", "WGS 84", "WGS_84", "WGS-84", "WGS 84 (CRS84)", "GCS_WGS_1984", "WGS_1984", *OGC_CODES}
)

SHORT = re.compile(r"(EPSG|OGC):{1,2}(\w+)", re.IGNORECASE)
URN = re.compile(r"urn:(?:x-)?ogc:def:crs:(EPSG|OGC):[\d.]*:(\w+)", re.IGNORECASE)
URI = re.compile(r"https?://www\.opengis\.net/def/crs/(EPSG|OGC)/[\d.]+/(\w+)", re.IGNORECASE)
OLD_URI = re.compile(r"https?://www\.opengis\.net/gml/srs/(epsg)\.xml#(\d+)", re.IGNORECASE)


def is_wgs84(crs: Json) -> bool:
    """Return whether the member `crs` of a GeoJSON file names WGS84. Null names nothing, so WGS84 applies."""
    if crs is None:
        return True
    name = _name(crs)
    if name is None:
        return False
    if name.upper() in PLAIN_NAMES:
        return True
    match = next((found for form in (SHORT, URN, URI, OLD_URI) if (found := form.fullmatch(name))), None)
    return match is not None and match[2].upper() in (EPSG_CODES if match[1].upper() == "EPSG" else OGC_CODES)


def _name(crs: Json) -> str | None:
    """Return the name in a `crs` member: `{"type": "name", "properties": {"name": …}}`, or `{"type": "EPSG", …}`."""
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    if not isinstance(crs, Mapping) or not isinstance(properties, Mapping):
        return None
    if crs.get("type") == "EPSG":
        return f"EPSG:{properties.get('code')}"
    name = properties.get("name")
    return name.strip() if isinstance(name, str) else None
