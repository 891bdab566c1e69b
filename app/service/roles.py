"""Who may do what: four roles, each with all that the ones before it may."""

import enum
from dataclasses import dataclass


class Role(enum.StrEnum):
    """What a token may do.

    >>> Role.PUBLISHER.may(Role.READER), Role.PUBLISHER.may(Role.ADMIN)
    (True, False)
    """

    READER = "reader"  # look, download and predict
    PUBLISHER = "publisher"  # upload versions as well
    PROMOTER = "promoter"  # say what is in force as well
    ADMIN = "admin"  # delete versions and read the audit records as well

    def may(self, needed: "Role") -> bool:
        """Say whether this role has what `needed` has."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the name of the token and its role."""

    name: str
    role: Role


DEVELOPER = Caller("dev", Role.ADMIN)
"""Whoever calls a service that runs with `--dev`."""
