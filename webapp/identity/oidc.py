"""Signing in by an OpenID Connect provider: authorization code flow with PKCE, state and nonce.

Who somebody is says the provider's subject, not their address. A user is made, or one with the same verified e-mail
address taken over, at the first time; the role follows the claim every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import Flask, Response, session
from joserfc.errors import JoseError
from requests import RequestException
from sqlalchemy import Engine, or_, select

from billing.errors import InvalidArgument
from billing.ledger.database import transaction
from billing.origin import by_the_system
from billing.text import parse_email
from webapp.identity import sessions, user_changes, users
from webapp.identity.oidc_settings import OidcSettings
from webapp.identity.roles import Role
from webapp.identity.sessions import Method
from webapp.identity.tables import UserRow
from webapp.identity.user_changes import changing

TIMEOUT_S = 5
_NAME = "provider"
# How Authlib names what it keeps in the session for each.
_BEGUN = f"_state_{_NAME}_"
_WAYS_REMEMBERED = 3
_UNSIGNED_OR_SHARED = ("none", "HS")


class ProviderUnavailable(Exception):
    """The provider is out of reach, or answers what no provider should."""


class SignInRefused(Exception):
    """The provider said no, or says of somebody what doesn't let them in; the sentence says why."""


class Provider:
    """Asked for its addresses and keys at first use, so that pages start without it."""

    def __init__(self, app: Flask, settings: OidcSettings):
        self.settings = settings
        oauth = OAuth(app)
        self._client = oauth.register(
            _NAME,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.scope,
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT_S,
            },
        )

    def send_there(self, back_to: str) -> Response:
        """Raises ProviderUnavailable."""
        self._check_metadata()
        _forget_old_ways()
        response: Response = self._client.authorize_redirect(back_to)
        return response

    def claims(self) -> Mapping[str, Any]:
        """What the provider says of who comes back. Raises ProviderUnavailable, SignInRefused."""
        self._check_metadata()
        try:
            token = self._client.authorize_access_token()
            claims = dict(token.get("userinfo") or {})
            if not claims.get("sub"):
                raise SignInRefused("The provider didn't say who you are.")
            return {**self._more_claims(token, claims["sub"]), **claims}
        except (RequestException, KeyError, ValueError, TypeError) as error:
            raise ProviderUnavailable from error
        except (AuthlibBaseError, JoseError) as error:
            raise SignInRefused("Signing in was not completed. Try again.") from error

    def _more_claims(self, token: Mapping[str, Any], subject: str) -> Mapping[str, Any]:
        """Some providers keep addresses and groups out of the token."""
        wanted = {"email", self.settings.role_claim}
        if wanted <= set(token["userinfo"]) or "userinfo_endpoint" not in self._client.server_metadata:
            return {}
        more = dict(self._client.userinfo(token=token))
        return more if more.get("sub") == subject else {}

    def _check_metadata(self) -> None:
        """That it is the configured issuer's, and that tokens are signed by keys that the provider alone has."""
        try:
            metadata = self._client.load_server_metadata()
            if metadata["issuer"].rstrip("/") != self.settings.issuer:
                raise ProviderUnavailable
            algorithms = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
            metadata["id_token_signing_alg_values_supported"] = [
                name for name in algorithms if not name.startswith(_UNSIGNED_OR_SHARED)
            ]
        except (RequestException, KeyError, ValueError, TypeError, AttributeError) as error:
            raise ProviderUnavailable from error


def _forget_old_ways() -> None:
    """Of sign-ins that were begun and left, the newest are remembered: a cookie holds 4 KB."""
    begun = sorted((name for name in session if name.startswith(_BEGUN)), key=lambda name: session[name]["exp"])
    for name in begun[:-_WAYS_REMEMBERED]:
        session.pop(name)


def sign_in(
    engine: Engine, settings: OidcSettings, claims: Mapping[str, Any], *, browser: str, request_id: str
) -> None:
    """Begins a session for who the claims are about. Raises SignInRefused."""
    email, role = _email(claims), settings.role_of(claims.get(settings.role_claim))
    if role is None:
        raise SignInRefused(f"{settings.name} gives you no role here. An administrator can change that.")
    subject = f"{settings.issuer} {claims['sub']}"
    user = users.by_id(engine, _admitted(engine, subject, email, role, request_id))
    sessions.start(engine, user, browser=browser, method=Method.OIDC)


def _email(claims: Mapping[str, Any]) -> str:
    if claims.get("email_verified") is not True:
        raise SignInRefused("Your e-mail address isn't verified there.")
    try:
        return parse_email(claims.get("email")).lower()
    except InvalidArgument:
        raise SignInRefused("Your e-mail address isn't known there.") from None


def _admitted(engine: Engine, subject: str, email: str, role: Role, request_id: str) -> UUID:
    origin = by_the_system(request_id)
    known = select(UserRow.__table__).where(or_(UserRow.oidc_subject == subject, UserRow.email == email))
    with transaction(engine) as connection:
        # By the subject first: an address may have gone over to somebody else.
        user = connection.execute(known.order_by(UserRow.oidc_subject != subject).limit(1)).one_or_none()
    if user is None:
        return user_changes.add(engine, origin, email=email, password=None, role=role, subject=subject)[0]
    if user.disabled_at is not None:
        raise SignInRefused("Your account here is disabled.")
    if user.oidc_subject not in (subject, None):
        raise SignInRefused("Your e-mail address belongs to another account here.")
    if user.oidc_subject is None:
        with changing(engine, origin, user.id) as change:
            change.write("user.linked_to_provider", oidc_subject=subject)
    if user.role != role:
        # The provider decides, also about the last administrator: it can make others.
        with changing(engine, origin, user.id) as change:
            change.write("user.role_changed", {"was": user.role, "role": role}, role=role)
    user_id: UUID = user.id
    return user_id
