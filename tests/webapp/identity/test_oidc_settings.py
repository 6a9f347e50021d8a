from __future__ import annotations

import pytest

from billing.settings import SettingsInvalid
from webapp.identity.oidc_settings import OidcSettings
from webapp.identity.roles import Role

ENOUGH = {"OIDC_ISSUER": "https://login.example", "OIDC_CLIENT_ID": "pave", "OIDC_CLIENT_SECRET": "hush"}


def test_without_an_issuer_there_is_no_provider():
    assert OidcSettings.from_environment({"OIDC_CLIENT_ID": "pave"}) is None


def test_three_variables_are_enough():
    settings = OidcSettings.from_environment(ENOUGH)

    assert (settings.name, settings.role_claim, settings.scope) == ("login.example", "role", "openid email")
    assert settings.role_of("operator") is Role.OPERATOR
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("claimed", "role"),
    [
        ("finance", Role.OPERATOR),
        (["auditors", "finance"], Role.OPERATOR),
        (["it", "auditors"], Role.ADMIN),
        (["cleaners"], None),
        (None, None),
        ("admin", None),
        ([["it"]], None),
        ({"it": 1}, None),
    ],
)
def test_the_highest_role_of_what_is_claimed_counts(claimed: object, role: Role | None):
    settings = OidcSettings.from_environment({**ENOUGH, "OIDC_ROLES": "finance=operator, auditors=viewer,it=admin,"})

    assert settings.role_of(claimed) is role


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OIDC_ISSUER", "http://login.example"),
        ("OIDC_ISSUER", "login.example"),
        ("OIDC_CLIENT_ID", ""),
        ("OIDC_CLIENT_SECRET", ""),
        ("OIDC_ROLES", "finance"),
        ("OIDC_ROLES", "finance=king"),
        ("OIDC_ROLES", "=admin"),
        ("OIDC_SCOPE", "email"),
    ],
)
def test_what_is_missing_or_wrong_is_named(variable: str, value: str):
    with pytest.raises(SettingsInvalid, match=variable):
        OidcSettings.from_environment({**ENOUGH, variable: value})
