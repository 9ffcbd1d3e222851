"""The files and columns of a OneRoster package, in versions 1.1 and 1.2."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from enrollment.exchange.rosters import Format

SisIdIn: TypeAlias = Literal["identifier", "sourcedId"]
"""The column of users.csv that has the SIS id."""

FILES: Final = (
    "academicSessions", "categories", "classes", "classResources", "courseResources", "courses", "demographics",
    "enrollments", "lineItemLearningObjectiveIds", "lineItems", "lineItemScoreScales", "orgs", "resources",
    "resultLearningObjectiveIds", "results", "resultScoreScales", "roles", "scoreScales", "userProfiles",
    "userResources", "users",
)  # fmt: skip
"""The files that a manifest of version 1.2 lists."""

FORMATS: Final[Mapping[str, Format]] = {"1.1": "oneroster-1.1", "1.2": "oneroster-1.2"}

NEEDED: Final = {"1.1": ("orgs", "users"), "1.2": ("orgs", "users", "roles")}

COLUMNS: Final = {
    "manifest": ("propertyName", "value"),
    "orgs": ("sourcedId", "status", "dateLastModified", "name", "type", "identifier", "parentSourcedId"),
    "roles": (
        "sourcedId", "status", "dateLastModified", "userSourcedId", "roleType", "role", "beginDate", "endDate",
        "orgSourcedId", "userProfileSourcedId",
    ),
    "enrollments": (
        "sourcedId", "status", "dateLastModified", "classSourcedId", "schoolSourcedId", "userSourcedId", "role",
        "primary", "beginDate", "endDate",
    ),
}  # fmt: skip

USERS: Final = {
    "1.1": (
        "sourcedId", "status", "dateLastModified", "enabledUser", "orgSourcedIds", "role", "username", "userIds",
        "givenName", "familyName", "middleName", "identifier", "email", "sms", "phone", "agentSourcedIds", "grades",
        "password",
    ),
    "1.2": (
        "sourcedId", "status", "dateLastModified", "enabledUser", "username", "userIds", "givenName", "familyName",
        "middleName", "identifier", "email", "sms", "phone", "agentSourcedIds", "grades", "password",
        "userMasterIdentifier", "preferredGivenName", "preferredMiddleName", "preferredFamilyName",
        "primaryOrgSourcedId", "pronouns",
    ),
}  # fmt: skip

ORGS: Final = frozenset(["department", "school", "district", "local", "state", "national"])
STUDENT: Final = "student"
SCHOOL: Final = "school"
SECONDARY: Final = "secondary"
ROLES: Final = {
    "1.1": frozenset(["administrator", "aide", "guardian", "parent", "proctor", "relative", STUDENT, "teacher"]),
    "1.2": frozenset(
        [
            "aide", "counselor", "districtAdministrator", "guardian", "parent", "principal", "proctor", "relative",
            "siteAdministrator", STUDENT, "systemAdministrator", "teacher",
        ]
    ),
}  # fmt: skip
