"""The guards at the doors, each with how it is taken out and the test that fails without it.

`old` stands once in its file. Where what guards is that something isn't there at all, `new` adds it.
"""

from __future__ import annotations

from dataclasses import dataclass

_T = "tests/webapp/"


@dataclass(frozen=True, slots=True)
class Guard:
    """`test` is what pytest is given."""

    name: str
    file: str
    old: str
    new: str
    test: str


GUARDS = (
    # Who comes in
    Guard(
        "a route that declares nothing keeps the application from starting",
        "webapp/identity/access.py",
        "    if forgot:\n",
        "    if False:\n",
        _T + "identity/test_access_table.py::TestARouteThatForgets",
    ),
    Guard(
        "a role opens what is declared for it",
        "webapp/identity/caller.py",
        "return self.role is not None and self.role.includes(needed)",
        "return self.role is not None",
        _T + "pages/test_access.py::test_a_viewer_changes_nothing",
    ),
    Guard(
        "a scope opens what is declared for it",
        "webapp/identity/caller.py",
        "return needed in self.scopes",
        "return bool(self.scopes)",
        _T + "identity/test_scopes.py::test_a_key_that_may_accrue_cant_close",
    ),
    Guard(
        "a revoked key opens nothing",
        "webapp/identity/doorkeeper.py",
        "WHERE k.token_hash = %s AND k.revoked_at IS NULL",
        "WHERE k.token_hash = %s",
        _T + "identity/test_api_keys.py::test_revoking_ends_it_at_once",
    ),
    Guard(
        "a revoked key that a process remembers adds nothing",
        "migrations/versions/0013_line_item_references_functions.sql",
        "PERFORM FROM api_keys WHERE id = p_api_keys[1] AND revoked_at IS NULL;",
        "PERFORM FROM api_keys WHERE id = p_api_keys[1];",
        _T + "identity/test_api_keys.py::TestAKeyRevokedAMomentAgo::test_adds_nothing",
    ),
    Guard(
        "who is told of a mistake has a key that still holds",
        "webapp/api/errors.py",
        "            access.confirm()\n",
        "            pass\n",
        _T + "identity/test_api_keys.py::TestAKeyRevokedAMomentAgo::test_is_told_of_no_bill",
    ),
    Guard(
        "only the hash of a key is kept",
        "webapp/identity/api_keys.py",
        "hint=token[: len(prefix) + HINTED]",
        "hint=token",
        _T + "identity/test_api_keys.py::test_a_token_is_kept_as_its_hash_alone",
    ),
    Guard(
        "a session before its second factor opens nothing",
        "webapp/identity/sessions.py",
        "user = one_row(engine, _LOOK_UP, (hashed, False, IDLE))",
        "user = one_row(engine, _LOOK_UP, (hashed, False, IDLE)) or one_row(engine, _LOOK_UP, (hashed, True, IDLE))",
        _T + "identity/test_sessions.py::TestSessions::test_one_that_awaits_a_code_opens_nothing",
    ),
    Guard(
        "who must set up a second factor does nothing before",
        "webapp/identity/access.py",
        "            raise SecondFactorNeeded\n",
        "            pass\n",
        _T + "pages/test_account_must_enrol.py::test_who_has_none_can_do_nothing_but_set_it_up",
    ),
    Guard(
        "a code of an authenticator counts once",
        "webapp/identity/second_factors.py",
        ".where(SecondFactorRow.user_id == user_id, SecondFactorRow.last_step < step)",
        ".where(SecondFactorRow.user_id == user_id)",
        _T + "pages/test_account.py::TestSecondFactor::test_a_code_counts_once",
    ),
    Guard(
        "passwords are tried so often and no more",
        "webapp/identity/signing_in.py",
        '    """Counted before it is looked at; what there was no room to look at was no attempt."""\n'
        "    attempts.count(engine, *tried)\n",
        '    """Counted before it is looked at; what there was no room to look at was no attempt."""\n',
        _T + "pages/test_sessions.py::TestTooManyAttempts::test_a_right_password_waits_too_and_what_was_typed_stays",
    ),
    Guard(
        "an API key makes so many requests and no more",
        "webapp/identity/rate_limits.py",
        "        if left < 0:\n",
        "        if False:\n",
        _T + "api/test_rate_limits.py::test_beyond_it_is_429_with_the_time_to_wait_and_nothing_happens",
    ),
    # Whose it is
    Guard(
        "another customer's bill isn't there for a bound key",
        "webapp/identity/access.py",
        "            _keep_to_customers(g.caller, keys)\n",
        "",
        _T + "api/test_bound_keys.py::test_anothers_bill_isnt_there",
    ),
    Guard(
        "an add that asks nothing first holds to it too",
        "webapp/identity/doorkeeper.py",
        "        if one in self._theirs:\n",
        "        if caller.key_to_confirm:\n",
        _T + "api/test_bound_keys.py::test_it_adds_to_no_other_bill_after_it_has_added_to_its_own",
    ),
    Guard(
        "lists of bills are kept to a key's customers",
        "webapp/api/bills.py",
        "        among=bound_customers(),\n",
        "",
        _T + "api/test_bound_keys.py::test_lists_are_kept_to_its_customers",
    ),
    Guard(
        "lists of customers are, too",
        "webapp/api/customers.py",
        "UUID(before) if before else None, bound_customers()",
        "UUID(before) if before else None, None",
        _T + "api/test_bound_keys.py::test_lists_are_kept_to_its_customers",
    ),
    Guard(
        "exports of line items are, too",
        "webapp/api/exports.py",
        "        among=bound_customers(),\n",
        "",
        _T + "api/test_bound_keys.py::test_exports_are_kept_to_its_customers",
    ),
    Guard(
        "and those of events",
        "webapp/api/exports.py",
        "begins, ends, among=bound_customers())",
        "begins, ends)",
        _T + "api/test_bound_keys.py::test_exports_are_kept_to_its_customers",
    ),
    Guard(
        "a key that may only accrue reads the outcomes of its own account",
        "webapp/api/line_items.py",
        ", of_account=only_of_account()",
        "",
        _T + "identity/test_scopes.py::"
        "test_a_key_that_may_accrue_reads_the_outcome_of_what_its_account_asked_for_and_no_other",
    ),
    Guard(
        "a bound key opens no bill for others",
        "webapp/api/bills.py",
        "    refuse_to_open_for(system().engine, customer_id)\n",
        "",
        _T + "api/test_bound_keys.py::test_nothing_is_opened_for_another_customer_and_nobody_is_registered",
    ),
    Guard(
        "a line item is one of the bill in the address",
        "billing/ledger/reads.py",
        "            select(_ITEMS).where(_ITEMS.c.bill_id == bill_id, _ITEMS.c.id == item_id)\n",
        "            select(_ITEMS).where(_ITEMS.c.id == item_id)\n",
        _T + "api/test_bound_keys.py::test_an_item_of_anothers_bill_isnt_taken_back_through_its_own",
    ),
    Guard(
        "a session is ended by its own user",
        "webapp/identity/sessions.py",
        "delete(SessionRow).where(SessionRow.id == session_id, SessionRow.user_id == user_id)",
        "delete(SessionRow).where(SessionRow.id == session_id)",
        _T + "identity/test_sessions.py::TestSessions::test_the_own_ones_are_listed_and_nobody_elses_is_ended",
    ),
    Guard(
        "a revoked link opens nothing",
        "billing/ledger/links.py",
        "FROM share_links WHERE id = %s AND revoked_at IS NULL",
        "FROM share_links WHERE id = %s",
        _T + "customer/test_links.py::test_one_link_is_revoked_and_another_goes_on",
    ),
    Guard(
        "nobody makes a link without the secret",
        "webapp/customer/tokens.py",
        "    if not hmac.compare_digest(code, _code(secret_key, id_)) or not genuine:\n",
        "    hmac.compare_digest(code, _code(secret_key, id_))\n    if not genuine:\n",
        _T + "customer/test_tokens.py::test_nobody_makes_one_without_the_secret",
    ),
    Guard(
        "a cursor is one of the list that gave it",
        "webapp/api/cursors.py",
        "    if its_listing != list(listing) or sign(position, *its_listing) != cursor:\n",
        "    if False:\n",
        _T + "api/test_cursors.py",
    ),
    # What can be timed
    Guard(
        "a link's code is compared in constant time",
        "webapp/customer/tokens.py",
        "not hmac.compare_digest(code, _code(secret_key, id_))",
        "code != _code(secret_key, id_)",
        _T + "customer/test_tokens.py::test_whatever_is_tried_is_compared_once_and_in_constant_time",
    ),
    Guard(
        "a mistyped link takes as long as one that was made",
        "webapp/customer/tokens.py",
        "    genuine = bool(_SHAPE.fullmatch(token))\n",
        "    genuine = bool(_SHAPE.fullmatch(token))\n    if not genuine:\n        raise LinkNotFound\n",
        _T + "customer/test_tokens.py::test_whatever_is_tried_is_compared_once_and_in_constant_time",
    ),
    Guard(
        "an unknown address takes as long as a wrong password",
        "webapp/identity/users.py",
        "    if not passwords.matches(row.password_hash if row else None, password) or row is None:\n",
        "    if row is None or not passwords.matches(row.password_hash, password):\n",
        _T + "identity/test_sessions.py::TestUsers::test_both_are_verified_once",
    ),
    # What another site can do
    Guard(
        "a form carries the token of its session",
        "webapp/app.py",
        "    csrf.init_app(app)\n",
        "    app.jinja_env.globals['csrf_token'] = lambda: ''\n",
        _T + "pages/test_forgeries.py::test_without_its_token_nothing_is_changed_in_whatever_form",
    ),
    Guard(
        "JSON carries it too",
        "webapp/app.py",
        "    csrf.init_app(app)\n",
        "    csrf.init_app(app)\n"
        "    app.config['WTF_CSRF_CHECK_DEFAULT'] = False\n"
        "    app.before_request(lambda: None if __import__('flask').request.is_json else csrf.protect())\n",
        _T + "pages/test_forgeries.py::test_nor_is_anybody_signed_out_who_didnt_ask_for_it",
    ),
    Guard(
        "the API knows no session",
        "webapp/identity/access.py",
        "keys.authenticate(is_confirmed_later=hasattr(view, _CONFIRMED))",
        "keys.authenticate(is_confirmed_later=False) or __import__('dataclasses').replace("
        "pages(is_sighting=True), scopes=frozenset(Scope))",
        _T + "pages/test_forgeries.py::test_the_api_knows_no_session",
    ),
    Guard(
        "the API's body is declared to be JSON",
        "webapp/api/negotiation.py",
        '    if request.mimetype != "application/json" or charset not in {"utf-8", "utf8"} or encoded:\n',
        "    if encoded:\n",
        _T + "api/test_refusals.py -k content",
    ),
    Guard(
        "no header makes a request another",
        "webapp/app.py",
        "    headers.name_requests(app)\n",
        "    inner = app.wsgi_app\n"
        "    named = 'HTTP_X_HTTP_METHOD_OVERRIDE'\n"
        "    app.wsgi_app = lambda e, s: inner({**e, 'REQUEST_METHOD': e.get(named, e['REQUEST_METHOD'])}, s)\n"
        "    headers.name_requests(app)\n",
        _T + "pages/test_forgeries.py::test_no_header_makes_a_request_another",
    ),
    Guard(
        "a request calls us by a name of ours",
        "webapp/app.py",
        "    headers.refuse_other_hosts(app, system.config.trusted_hosts)\n",
        "",
        _T + "test_headers.py::TestTheNameWeAreCalledBy::test_another_is_refused_before_anything_is_looked_at",
    ),
    Guard(
        "what a proxy says it was called by counts for nothing",
        "webapp/app.py",
        "x_for=system.config.trusted_proxies, x_proto=0)",
        "x_for=1, x_proto=0, x_host=1)",
        _T + "test_headers.py::TestTheNameWeAreCalledBy::test_what_a_proxy_says_counts_for_nothing",
    ),
    Guard(
        "signing in leads to no other host",
        "webapp/pages/rendering.py",
        '    return address if not parts.scheme and not parts.netloc and not address.startswith("//") else None\n',
        "    return address if parts else None\n",
        _T + "pages/test_sessions.py::test_signing_in_leads_to_no_other_host",
    ),
    Guard(
        "no page is shown within another",
        "webapp/headers.py",
        "frame-ancestors 'none'; ",
        "",
        _T + "test_headers.py::test_no_page_is_shown_within_another_and_nothing_runs_that_isnt_ours",
    ),
    Guard(
        "no other site's page holds a window of ours",
        "webapp/headers.py",
        '    "Cross-Origin-Opener-Policy": "same-origin",\n',
        "",
        _T + "test_headers.py::test_every_answer_says_what_a_browser_may_do_with_it",
    ),
    Guard(
        "no other site's page loads anything of ours",
        "webapp/headers.py",
        '    "Cross-Origin-Resource-Policy": "same-origin",\n',
        "",
        _T + "test_headers.py::test_every_answer_says_what_a_browser_may_do_with_it",
    ),
    Guard(
        "a browser that was here comes back by TLS alone",
        "webapp/headers.py",
        '            headers["Strict-Transport-Security"] = "max-age=31536000"\n',
        "            pass\n",
        _T + "test_headers.py::test_who_came_by_tls_comes_back_by_it_for_a_year",
    ),
    Guard(
        "a script runs only as it was when the page was made",
        "templates/layout.html",
        """ integrity="{{ asset_integrity('htmx.js') }}\"""",
        "",
        _T + "pages/test_assets.py::test_a_script_is_run_only_as_it_was_when_the_page_was_made",
    ),
    # Sessions and what is left of them
    Guard(
        "a session begins under a new token",
        "webapp/identity/sessions.py",
        "    sign_out(engine)\n    token = new_token()\n",
        "    token = session.get(_TOKEN) or new_token()\n"
        "    rows(engine, 'DELETE FROM sessions WHERE token_hash = %s RETURNING id', (token_hash(token),))\n",
        _T + "identity/test_sessions.py::TestSessions::test_each_has_a_token_of_its_own_and_nothing_of_the_one_before",
    ),
    Guard(
        "signing out ends the session for who copied the cookie",
        "webapp/identity/sessions.py",
        "            connection.execute(delete(SessionRow).where(SessionRow.token_hash == token_hash(token)))\n",
        "            pass\n",
        _T + "pages/test_sessions.py::test_signing_out_ends_the_session_and_not_only_the_cookie",
    ),
    Guard(
        "signing out leaves nothing in the browser",
        "webapp/identity/sessions.py",
        "    session.clear()\n    if isinstance(token, str):\n",
        "    session.pop(_TOKEN, None)\n    if isinstance(token, str):\n",
        _T + "pages/test_sessions.py::test_signing_out_leaves_nothing_in_the_browser",
    ),
    Guard(
        "no script reads the cookie",
        "webapp/app.py",
        '"SESSION_COOKIE_HTTPONLY": True',
        '"SESSION_COOKIE_HTTPONLY": False',
        _T + "test_headers.py::test_no_script_reads_the_cookie_and_no_other_site_sends_it",
    ),
    Guard(
        "no other site's form sends the cookie",
        "webapp/app.py",
        '"SESSION_COOKIE_SAMESITE": "Lax"',
        '"SESSION_COOKIE_SAMESITE": "None"',
        _T + "test_headers.py::test_no_script_reads_the_cookie_and_no_other_site_sends_it",
    ),
    Guard(
        "the cookie is this host's alone",
        "webapp/app.py",
        '"__Host-session" if config.is_https else "session"',
        '"session"',
        _T + "test_headers.py::test_no_script_reads_the_cookie_and_no_other_site_sends_it",
    ),
    Guard(
        "private pages are kept by no cache",
        "webapp/headers.py",
        '            headers["Cache-Control"] = "no-store"\n',
        "            pass\n",
        _T + "test_headers.py::test_private_answers_are_not_stored",
    ),
    # Text that others wrote
    Guard(
        "nobody's text is markup, or anything htmx acts upon",
        "webapp/app.py",
        "    access.refuse_undeclared(app)\n",
        "    access.refuse_undeclared(app)\n    app.jinja_env.autoescape = False\n",
        _T + "pages/test_hostile_text.py",
    ),
    Guard(
        "nor in a line of a bill alone",
        "templates/line_items/_line_item.html",
        "{% else %}{{ item.description }}{% if shown_item.is_reversal %}",
        "{% else %}{{ item.description|safe }}{% if shown_item.is_reversal %}",
        _T + "pages/test_hostile_text.py",
    ),
    Guard(
        "no text is a formula",
        "webapp/csv_text.py",
        'return f"\'{value}" if',
        "return value if",
        _T + "test_csv_text.py::test_what_could_be_a_formula_is_text",
    ),
    Guard(
        "a request's id is written to no log as it came",
        "webapp/headers.py",
        "given if _SANE_REQUEST_ID.fullmatch(given) else str(new_id())",
        "given or str(new_id())",
        _T + "api/test_errors.py::TestRequestIds::test_another_is_replaced",
    ),
    Guard(
        "no log has a customer's link",
        "webapp/customer/masking.py",
        "    return masked(text) if",
        "    return text if",
        _T + "customer/test_links.py::test_no_log_has_the_link",
    ),
    Guard(
        "what was sent twice in one body is refused",
        "webapp/api/body.py",
        "    if len(found) < len(pairs):\n",
        "    if False:\n",
        _T + "api/test_refusals.py -k duplicate",
    ),
    Guard(
        "a body is read up to its limit",
        "webapp/api/body.py",
        "    request.max_content_length = most\n",
        "    request.max_content_length = None\n",
        _T + "api/test_errors.py::TestTooLarge::test_a_chunked_body_is_refused_at_the_limit_without_reading_on",
    ),
    Guard(
        "nothing of a bug leaks",
        "webapp/api/errors.py",
        "INTERNAL_MESSAGE, details)",
        "str(error), details)",
        _T + "api/test_errors.py::TestOurFault::test_nothing_of_a_bug_leaks",
    ),
    Guard(
        "nor does a page lose its headers by one",
        "webapp/pages/errors.py",
        "    try:\n        return notice(500, *NOTICES[500])\n    except Exception as error:\n",
        "    return notice(500, *NOTICES[500])\n    try:\n        pass\n    except Exception as error:\n",
        _T + "pages/test_errors.py",
    ),
    Guard(
        "a bug beside a page doesn't keep it from being shown",
        "webapp/pages/environment.py",
        "    except Exception as error:\n        logs.fault(error)\n        return None\n",
        "",
        _T + "pages/test_errors.py::test_what_the_rail_counts_keeps_no_page_from_being_shown",
    ),
    # Who sends slowly
    Guard(
        "a body comes in time",
        "webapp/app.py",
        "    app.wsgi_app = slow_senders.InTime(app.wsgi_app)  # type: ignore[method-assign]\n",
        "",
        _T + "test_slow_senders.py::test_a_form_of_somebody_unknown",
    ),
    Guard(
        "the head of a request comes in time",
        "gunicorn.conf.py",
        'worker_class = "webapp.web_worker.WebWorker"',
        'worker_class = "gthread"',
        "tests/system/test_slow_senders.py::test_they_hold_the_threads_no_longer_than_their_time -k head",
    ),
    # Test mode
    Guard(
        "test mode: a test key sees nothing live",
        "webapp/modes.py",
        "(caller is not None and caller.test) or ",
        "",
        _T + "api/test_test_mode.py::TestWalls::test_customers_of_one_name_are_two_and_each_mode_sees_its_own",
    ),
    Guard(
        "test mode: a bound test key is asked about customers of test mode",
        "webapp/identity/doorkeeper.py",
        "return self._test_engine if caller.test else self._engine",
        "return self._engine",
        _T + "api/test_test_mode.py::TestKeys::test_it_is_bound_to_customers_of_test_mode",
    ),
    Guard(
        "test mode: a test key changes nothing that live bills share",
        "webapp/identity/scopes.py",
        "LIVE_ONLY = frozenset({Scope.RATES_WRITE})",
        "LIVE_ONLY = frozenset[Scope]()",
        _T + "api/test_test_mode.py::TestKeys::test_it_opens_nothing_that_live_bills_share",
    ),
    Guard(
        "test mode: a process of the version before doesn't take a test key for a live one",
        "webapp/identity/api_keys.py",
        'token_hash(f"test {token}" if token.startswith(TEST_PREFIX) else token)',
        "token_hash(token)",
        _T + "api/test_test_mode.py::TestKeys::test_a_process_of_the_version_before_doesnt_know_it",
    ),
    Guard(
        "test mode: a connection that leads to the live ledger is refused",
        "billing/ledger/engines.py",
        ', (_refuse_elsewhere(search_path[0]), "connect")',
        "",
        "tests/billing/ledger/test_modes_apart.py::test_nothing_is_done_on_a_connection_that_leads_elsewhere",
    ),
    Guard(
        "test mode: a live bill's clock can't be advanced",
        "billing/ledger/bills.py",
        "            raise LiveBill\n",
        "            pass\n",
        _T + "api/test_test_mode.py::TestClock::test_a_live_bill_has_none",
    ),
    Guard(
        "test mode: pages below the prefix have nothing live",
        "webapp/modes.py",
        " or (_is_below_prefix() and _is_of_a_ledger(request.path))",
        "",
        _T + "pages/test_test_mode.py -k test_a_live_bill_is_not_below_the_prefix",
    ),
)
