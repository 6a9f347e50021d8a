"""The web application: the one file that knows every part of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx
from werkzeug.middleware.proxy_fix import ProxyFix

from billing.ledger import engines
from billing.ledger.base import Base
from billing.logs import configure as configure_logging
from webapp import headers, health, logs, metrics, modes, slow_senders, spans, uploads
from webapp.api.blueprint import PATH
from webapp.api.contract import operation
from webapp.api.errors import answer_unroutable
from webapp.api.recent_items import RecentItems
from webapp.api.reference import reference
from webapp.api.routes import api
from webapp.assets import assets
from webapp.config import Config
from webapp.customer.blueprint import PATH as CUSTOMER_PATH
from webapp.customer.blueprint import keep_to_yourself
from webapp.customer.masking import mask_records
from webapp.customer.routes import customer
from webapp.identity import access, sessions
from webapp.identity.doorkeeper import Doorkeeper
from webapp.identity.oidc import Provider
from webapp.pages.routes import pages
from webapp.system import System
from workflows import tracing

PROJECT = Path(__file__).resolve().parents[1]
LARGEST_FORM = 256 * 1024

db = SQLAlchemy(model_class=Base)
csrf = CSRFProtect()


class Application(Flask):
    """Flask, without what it does for coroutines."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No view and no layer here is one; Flask would look at a dozen functions in every request."""
        return func


class PagesSessions(SecureCookieSessionInterface):
    """The API has keys and the customer's page an address; neither has cookies, read or set."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        if request.path.startswith((f"{PATH}/", f"{CUSTOMER_PATH}/")):
            return self.make_null_session(app)
        return super().open_session(app, request)


def create_app(config: Config | None = None) -> Flask:
    """Connects to nothing; raises SettingsInvalid, or AccessUndeclared and OperationUndeclared for a route that says
    nothing."""
    config = config or Config.from_environment()
    app = Application(__name__, template_folder=str(PROJECT / "templates"), static_folder=str(PROJECT / "static"))
    app.config.from_mapping(_flask_config(config))
    app.url_map.merge_slashes = False
    app.session_interface = PagesSessions()
    configure_logging(config.log_level)
    mask_records()
    db.init_app(app)
    with app.app_context():
        system = System.with_test_mode(config, db.engine)
    app.extensions["pave"] = system
    app.extensions["recent_items"] = RecentItems()
    for each in (system, system.of_test_mode):
        each.app = app
    app.extensions["oidc"] = Provider(app, config.oidc) if config.oidc else None
    _add_layers(app, system)
    app.register_blueprint(health.health)
    app.register_blueprint(api)
    app.register_blueprint(reference)
    app.register_blueprint(pages)
    app.register_blueprint(customer)
    app.register_blueprint(assets)
    access.public(app.view_functions["static"])
    access.refuse_undeclared(app)
    operation.refuse_undeclared(app)
    return app


def _add_layers(app: Flask, system: System) -> None:
    """What happens around every view, outermost first: CSRF is looked at once the caller was let in."""
    # Whose address it is that attempts to sign in are counted for.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=system.config.trusted_proxies, x_proto=0)  # type: ignore[method-assign]
    app.wsgi_app = modes.BelowPrefix(app.wsgi_app)  # type: ignore[method-assign]
    app.wsgi_app = slow_senders.InTime(app.wsgi_app)  # type: ignore[method-assign]
    headers.name_requests(app)
    logs.log_requests(app)
    if system.config.metrics:
        metrics.count_requests(app)
    if tracing.is_configured():
        spans.trace_requests(app)
    headers.protect_answers(app, https=system.config.is_https)
    headers.refuse_other_hosts(app, system.config.trusted_hosts)
    answer_unroutable(app)
    keep_to_yourself(app)
    modes.keep_apart(app)
    access.guard(
        app,
        keys=Doorkeeper(system.engine, system.rate_limiter, test_engine=system.of_test_mode.engine),
        pages=partial(sessions.authenticate, system.engine, system.config.require_totp),
    )
    logs.name_callers(app)
    uploads.admit(app)
    Htmx(app)
    csrf.init_app(app)
    csrf.exempt(api)
    csrf.exempt(customer)


def _flask_config(config: Config) -> dict[str, object]:
    return {
        "SECRET_KEY": config.secret_key,
        "SQLALCHEMY_DATABASE_URI": engines.psycopg_url(config.settings.database_url),
        "SQLALCHEMY_ENGINE_OPTIONS": engines.engine_options(),
        # `__Host-` makes browsers insist on Secure and on this very host; plain HTTP on localhost can't have it.
        "SESSION_COOKIE_NAME": "__Host-session" if config.is_https else "session",
        "SESSION_COOKIE_SECURE": config.is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_PATH": "/",
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
        "MAX_CONTENT_LENGTH": LARGEST_FORM,
    }
