"""The OpenID Connect provider by which staff may sign in, as the environment names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from billing.settings import SettingsInvalid
from webapp.identity.roles import Role

_TRUSTED_WITHOUT_TLS = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """`roles` says which role a value of the claim stands for; of several values the highest role counts."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    role_claim: str = "role"
    roles: Mapping[str, Role] = field(default_factory=lambda: {role.value: role for role in Role})
    scope: str = "openid email"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> OidcSettings | None:
        """None without OIDC_ISSUER. Raises SettingsInvalid."""
        issuer = (environment.get("OIDC_ISSUER") or "").strip().rstrip("/")
        if not issuer:
            return None
        for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"):
            if not environment.get(name):
                raise SettingsInvalid(f"{name} is not set, which OIDC_ISSUER needs")
        host = _host(issuer)
        return cls(
            issuer=issuer,
            client_id=environment["OIDC_CLIENT_ID"],
            client_secret=environment["OIDC_CLIENT_SECRET"],
            name=environment.get("OIDC_NAME") or host,
            role_claim=environment.get("OIDC_ROLE_CLAIM") or "role",
            roles=_roles(environment.get("OIDC_ROLES") or ",".join(f"{role}={role}" for role in Role)),
            scope=_scope(environment.get("OIDC_SCOPE") or "openid email"),
        )

    def role_of(self, claimed: object) -> Role | None:
        """The highest role that the claim's value, or one of its values, stands for."""
        values = claimed if isinstance(claimed, list) else [claimed]
        known = [self.roles[value] for value in values if isinstance(value, str) and value in self.roles]
        return max(known, key=list(Role).index, default=None)


def _host(issuer: str) -> str:
    address = urlsplit(issuer)
    host = address.hostname or ""
    if not host or not (address.scheme == "https" or (address.scheme == "http" and host in _TRUSTED_WITHOUT_TLS)):
        raise SettingsInvalid(f"OIDC_ISSUER must begin with https:// (http:// on localhost only), not {issuer!r}")
    return host


def _roles(text: str) -> Mapping[str, Role]:
    roles = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        value, equals, role = pair.rpartition("=")
        if not equals or not value.strip() or role.strip() not in set(Role):
            raise SettingsInvalid(f"OIDC_ROLES must be like finance=operator,it=admin, and {pair!r} isn't")
        roles[value.strip()] = Role(role.strip())
    return roles


def _scope(text: str) -> str:
    if "openid" not in text.split():
        raise SettingsInvalid(f"OIDC_SCOPE must name openid among its scopes, and {text!r} doesn't")
    return text
