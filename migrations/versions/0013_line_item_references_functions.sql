-- Takes references for items that are to be added: of which there is one for each source of a customer, for good. Says
-- what becomes of each item, which item it is, and on whose bill that stands.
--
-- Arrays run in parallel, one element an item. p_outcomes are what the items' idempotency keys say, 'added' for those
-- that were never asked for by a key; p_refusals why their bills take nothing, null where they do.
--
-- The bills' rows are locked by now, in the order of their ids, and references are taken in one order by all: who waits
-- here, for somebody who adds to another bill of the customer, keeps nobody waiting who is waited for.
CREATE FUNCTION take_references(
    p_customer_ids uuid[], p_bill_ids uuid[], p_ids uuid[], p_item_ids uuid[], p_fingerprints bytea[],
    p_sources text[], p_references text[], p_outcomes text[], p_refusals text[]
) RETURNS TABLE (outcomes text[], item_ids uuid[], homes uuid[])
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO line_item_references (customer_id, source, reference, bill_id, item_id, fingerprint)
    SELECT DISTINCT ON (r.customer_id, r.source, r.reference)
           r.customer_id, r.source, r.reference, r.bill_id, r.id, r.fingerprint
    FROM unnest(p_customer_ids, p_bill_ids, p_ids, p_fingerprints, p_sources, p_references, p_outcomes, p_refusals)
        WITH ORDINALITY AS r(customer_id, bill_id, id, fingerprint, source, reference, outcome, refusal, n)
    WHERE r.reference IS NOT NULL AND r.outcome = 'added' AND r.refusal IS NULL
    ORDER BY r.customer_id, r.source, r.reference, r.n
    ON CONFLICT DO NOTHING;

    -- Read by a statement of its own: it sees what those committed who were waited for.
    RETURN QUERY
    SELECT array_agg(CASE WHEN r.outcome <> 'added' THEN r.outcome
                          WHEN taken.item_id IS NULL THEN coalesce(r.refusal, 'added')
                          WHEN taken.item_id = r.id THEN 'added'
                          WHEN taken.fingerprint = r.fingerprint THEN 'replayed'
                          ELSE 'reference_reused' END ORDER BY r.n),
           array_agg(CASE WHEN r.outcome = 'added' AND taken.fingerprint = r.fingerprint THEN taken.item_id
                          ELSE r.item_id END ORDER BY r.n),
           array_agg(coalesce(taken.bill_id, r.bill_id) ORDER BY r.n)
    FROM unnest(p_customer_ids, p_bill_ids, p_ids, p_item_ids, p_fingerprints, p_sources, p_references, p_outcomes,
                p_refusals)
        WITH ORDINALITY AS r(customer_id, bill_id, id, item_id, fingerprint, source, reference, outcome, refusal, n)
    LEFT JOIN LATERAL (
        SELECT k.bill_id, k.item_id, k.fingerprint FROM line_item_references k
        WHERE k.customer_id = r.customer_id AND k.source = r.source AND k.reference = r.reference LIMIT 1
    ) AS taken ON true;
END
$$;

-- Takes up to 1,000 items onto a bill in one transaction and one round trip.
--
-- Not one statement: under READ COMMITTED a statement's snapshot and clock predate its wait for the
-- lock, so that it would miss a concurrent repeat and let late items in. Here the bill's row is locked
-- first; keys, clock, status and period are read afterwards.
--
-- Arrays run in parallel, one element a row. Outcomes are 'added', 'replayed', 'idempotency_key_reused',
-- 'reference_reused', or the reason for which the bill takes nothing ('bill_closed', 'bill_closing', 'period_ended').
-- No row comes back when there is no such bill. An item with a source and a reference that another item of the customer
-- has already, of whatever bill, is that item when all else is the same; `homes` are the items' bills, null when no row
-- has a reference.
CREATE FUNCTION add_line_items(
    p_bill_id uuid, p_operation text, p_event text,
    p_account_id uuid, p_actor_kind text, p_actor_id text, p_actor_name text, p_request_id text,
    p_call_key text, p_call_fingerprint bytea,
    p_ids uuid[], p_keys text[], p_fingerprints bytea[],
    p_descriptions text[], p_quantities numeric[], p_unit_prices numeric[], p_totals numeric[], p_currencies text[],
    p_reverses uuid[], p_reasons text[],
    p_sources text[] DEFAULT NULL, p_references text[] DEFAULT NULL
) RETURNS TABLE (
    call_outcome text, outcomes text[], item_ids uuid[], positions bigint[], created_ats timestamptz[], versions bigint[],
    bill bills, customer customers, currencies text[], subtotals numeric[], homes uuid[]
)
LANGUAGE plpgsql
-- Planning anew would cost more than running; and a plan made while a table was small must not scan it later.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_refusal text;
    v_known idempotency_keys;
    v_added int;
    v_totals jsonb;
    v_shape int[] := ARRAY[cardinality(p_ids)];
    v_by_keys text[];
    v_single boolean := cardinality(p_ids) = 1;
BEGIN
    SELECT * INTO bill FROM bills WHERE id = p_bill_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    v_now := billing_now();
    call_outcome := 'added';
    outcomes := array_fill('added'::text, ARRAY[cardinality(p_ids)]);
    item_ids := p_ids;

    IF p_call_key IS NOT NULL THEN
        SELECT * INTO v_known FROM idempotency_keys
        WHERE scope_id = p_bill_id AND account_id = p_account_id AND operation = 'add_line_items' AND key = p_call_key;
        IF FOUND AND v_known.fingerprint = p_call_fingerprint THEN
            call_outcome := 'replayed';
            SELECT array_agg(CASE o WHEN 'added' THEN 'replayed' ELSE o END ORDER BY n) INTO outcomes
            FROM jsonb_array_elements_text(v_known.outcomes -> 'outcomes') WITH ORDINALITY AS r(o, n);
            SELECT array_agg(i::uuid ORDER BY n) INTO item_ids
            FROM jsonb_array_elements_text(v_known.outcomes -> 'item_ids') WITH ORDINALITY AS r(i, n);
            IF p_references IS NOT NULL THEN
                SELECT array_agg(coalesce(k.bill_id, p_bill_id) ORDER BY r.n) INTO homes
                FROM unnest(p_sources, p_references) WITH ORDINALITY AS r(source, reference, n)
                LEFT JOIN line_item_references k
                    ON k.customer_id = bill.customer_id AND k.source = r.source AND k.reference = r.reference;
            END IF;
        ELSIF FOUND THEN
            call_outcome := 'idempotency_key_reused';
            outcomes := array_fill(call_outcome, ARRAY[cardinality(p_ids)]);
        END IF;
    END IF;

    IF call_outcome = 'added' THEN
        IF array_remove(p_keys, NULL) <> '{}' THEN
            IF v_single THEN
                SELECT * INTO v_known FROM idempotency_keys
                WHERE scope_id = p_bill_id AND account_id = p_account_id AND operation = p_operation AND key = p_keys[1];
                IF FOUND AND v_known.fingerprint = p_fingerprints[1] THEN
                    outcomes := ARRAY['replayed'];
                    item_ids := ARRAY[v_known.result_id];
                ELSIF FOUND THEN
                    outcomes := ARRAY['idempotency_key_reused'];
                END IF;
            ELSE
                SELECT array_agg(CASE WHEN known.key IS NULL THEN 'added'
                                      WHEN known.fingerprint = r.fingerprint THEN 'replayed'
                                      ELSE 'idempotency_key_reused' END ORDER BY n),
                       array_agg(coalesce(known.result_id, r.id) ORDER BY n)
                INTO outcomes, item_ids
                FROM unnest(p_ids, p_keys, p_fingerprints) WITH ORDINALITY AS r(id, key, fingerprint, n)
                -- LIMIT keeps it a look-up per row: a plan made while a bill was small must not read all its keys later.
                LEFT JOIN LATERAL (
                    SELECT k.key, k.fingerprint, k.result_id FROM idempotency_keys k
                    WHERE k.scope_id = p_bill_id AND k.account_id = p_account_id
                    AND k.operation = p_operation AND k.key = r.key LIMIT 1
                ) AS known ON true;
            END IF;
        END IF;

        v_refusal := CASE WHEN bill.status = 'closed' THEN 'bill_closed'
                          WHEN bill.status = 'closing' THEN 'bill_closing'
                          WHEN v_now >= bill.period_end THEN 'period_ended' END;
        IF p_references IS NOT NULL THEN
            v_by_keys := outcomes;
            SELECT t.outcomes, t.item_ids, t.homes INTO outcomes, item_ids, homes
            FROM take_references(array_fill(bill.customer_id, v_shape), array_fill(p_bill_id, v_shape), p_ids, item_ids,
                                 p_fingerprints, p_sources, p_references, outcomes, array_fill(v_refusal, v_shape)) AS t;
            -- A key is remembered for what it gave, though it was there before.
            INSERT INTO idempotency_keys (scope_id, account_id, operation, key, fingerprint, result_id)
            SELECT p_bill_id, p_account_id, p_operation, r.key, r.fingerprint, r.item_id
            FROM unnest(v_by_keys, outcomes, p_keys, p_fingerprints, item_ids)
                AS r(by_key, outcome, key, fingerprint, item_id)
            WHERE r.by_key = 'added' AND r.outcome = 'replayed' AND r.key IS NOT NULL;
        ELSIF v_refusal IS NOT NULL THEN
            outcomes := array_replace(outcomes, 'added', v_refusal);
        END IF;

        v_added := cardinality(array_positions(outcomes, 'added'));
        IF v_added > 0 THEN
            IF v_single THEN
                -- As below, without what only several rows need: half of what one item costs would be that.
                INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                                        created_at, added_in_version, reverses, reason, source, reference)
                VALUES (p_bill_id, bill.item_count + 1, p_ids[1], p_descriptions[1], p_currencies[1], p_quantities[1],
                        p_unit_prices[1], p_totals[1], v_now, bill.version + 1, p_reverses[1], p_reasons[1],
                        p_sources[1], p_references[1]);
                INSERT INTO bill_subtotals AS kept (bill_id, currency, subtotal)
                VALUES (p_bill_id, p_currencies[1], p_totals[1])
                ON CONFLICT (bill_id, currency) DO UPDATE SET subtotal = kept.subtotal + excluded.subtotal;
                IF p_keys[1] IS NOT NULL THEN
                    INSERT INTO idempotency_keys (scope_id, account_id, operation, key, fingerprint, result_id)
                    VALUES (p_bill_id, p_account_id, p_operation, p_keys[1], p_fingerprints[1], p_ids[1]);
                END IF;
                v_totals := jsonb_build_object(p_currencies[1], trim_scale(p_totals[1])::text);
            ELSE
                INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                                        created_at, added_in_version, reverses, reason, source, reference)
                SELECT p_bill_id, bill.item_count + row_number() OVER (ORDER BY n), r.id, r.description, r.currency, r.quantity,
                       r.unit_price, r.total, v_now, bill.version + 1, r.reverses, r.reason, r.source, r.reference
                FROM unnest(p_ids, outcomes, p_descriptions, p_quantities, p_unit_prices, p_totals, p_currencies,
                            p_reverses, p_reasons, p_sources, p_references)
                    WITH ORDINALITY AS r(id, outcome, description, quantity, unit_price, total, currency, reverses, reason,
                                         source, reference, n)
                WHERE r.outcome = 'added' ORDER BY n;

                INSERT INTO bill_subtotals AS kept (bill_id, currency, subtotal)
                SELECT p_bill_id, r.currency, sum(r.total)
                FROM unnest(outcomes, p_currencies, p_totals) AS r(outcome, currency, total)
                WHERE r.outcome = 'added' GROUP BY r.currency
                ON CONFLICT (bill_id, currency) DO UPDATE SET subtotal = kept.subtotal + excluded.subtotal;

                INSERT INTO idempotency_keys (scope_id, account_id, operation, key, fingerprint, result_id)
                SELECT p_bill_id, p_account_id, p_operation, r.key, r.fingerprint, r.id
                FROM unnest(p_ids, p_keys, p_fingerprints, outcomes) AS r(id, key, fingerprint, outcome)
                WHERE r.outcome = 'added' AND r.key IS NOT NULL;
                SELECT jsonb_object_agg(s.currency, trim_scale(s.total)::text) INTO v_totals
                FROM (SELECT r.currency, sum(r.total) AS total
                      FROM unnest(outcomes, p_currencies, p_totals) AS r(outcome, currency, total)
                      WHERE r.outcome = 'added' GROUP BY r.currency) AS s;
            END IF;

            UPDATE bills SET version = version + 1, item_count = item_count + v_added, updated_at = v_now
            WHERE id = p_bill_id RETURNING * INTO bill;

            INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id,
                                occurred_at, data)
            VALUES ('bill', p_bill_id, bill.version, p_event, p_actor_kind, p_actor_id, p_actor_name, p_request_id, v_now,
                    jsonb_build_object('first_position', bill.item_count - v_added + 1, 'last_position', bill.item_count,
                                       'totals', v_totals));
        END IF;

        -- Remembered when any row succeeded, now or before.
        IF p_call_key IS NOT NULL AND outcomes && ARRAY['added', 'replayed'] THEN
            INSERT INTO idempotency_keys (scope_id, account_id, operation, key, fingerprint, outcomes)
            VALUES (p_bill_id, p_account_id, 'add_line_items', p_call_key, p_call_fingerprint,
                    jsonb_build_object('outcomes', to_jsonb(outcomes), 'item_ids', to_jsonb(item_ids)));
        END IF;
    END IF;

    IF v_single AND outcomes[1] = 'added' THEN
        positions := ARRAY[bill.item_count];
        created_ats := ARRAY[v_now];
        versions := ARRAY[bill.version];
    ELSE
        SELECT array_agg(i.position ORDER BY n), array_agg(i.created_at ORDER BY n), array_agg(i.added_in_version ORDER BY n)
        INTO positions, created_ats, versions
        FROM unnest(item_ids, homes) WITH ORDINALITY AS r(id, home, n)
        LEFT JOIN LATERAL (
            SELECT l.position, l.created_at, l.added_in_version FROM line_items l
            WHERE l.bill_id = coalesce(r.home, p_bill_id) AND l.id = r.id LIMIT 1
        ) AS i ON true;
    END IF;
    SELECT * INTO customer FROM customers WHERE id = bill.customer_id;
    SELECT array_agg(s.currency ORDER BY s.currency COLLATE "C"), array_agg(s.subtotal ORDER BY s.currency COLLATE "C")
    INTO currencies, subtotals FROM bill_subtotals s WHERE s.bill_id = p_bill_id;
    RETURN NEXT;
END
$$;

-- Takes items of many callers, each a request of its own, onto one bill or several, in one transaction and one round
-- trip. What comes of it is what would come of the same requests one after the other, in the order of the arrays:
-- every item makes a version and an event of its own, under its own caller's name.
--
-- Not one statement, as in add_line_items: the bills' rows are locked first, in the order of their ids; keys, clock,
-- status and period are read afterwards. Unless p_waits, bills that somebody else has locked are left out.
--
-- Arrays run in parallel, one element an item; no two items may have the same bill, account and idempotency key, nor the
-- same source and reference.
-- p_api_keys names the API key that a caller was let in with on what a process remembered: one that was revoked since
-- gets the outcome 'unauthenticated', whatever else holds. Other outcomes are those of add_line_items.
--
-- One row a bill: the bill and its exact subtotals as they were before, and in `ns`, `outcomes` and so on its items, in
-- order, by their place in the arrays; `homes` are the bills on which they stand, as in add_line_items. No row for a bill
-- that there isn't, or that was left out.
CREATE FUNCTION add_line_items_together(
    p_waits boolean, p_bill_ids uuid[], p_ids uuid[], p_account_ids uuid[], p_api_keys uuid[],
    p_actor_kinds text[], p_actor_ids text[], p_actor_names text[], p_request_ids text[],
    p_keys text[], p_fingerprints bytea[],
    p_descriptions text[], p_quantities numeric[], p_unit_prices numeric[], p_totals numeric[], p_currencies text[],
    p_sources text[] DEFAULT NULL, p_references text[] DEFAULT NULL
) RETURNS TABLE (
    bill bills, customer customers, currencies text[], subtotals numeric[], now timestamptz,
    ns bigint[], outcomes text[], item_ids uuid[], positions bigint[], created_ats timestamptz[], versions bigint[],
    homes uuid[]
)
LANGUAGE plpgsql
-- Planning anew would cost more than running; and a plan made while a table was small must not scan it later.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_bills bills[];
    v_outcome text;
    v_known idempotency_keys;
    v_is_revoked boolean;
    v_item_id uuid;
    v_outcomes text[];
    v_item_ids uuid[];
    v_homes uuid[];
BEGIN
    IF cardinality(p_ids) = 1 THEN
        -- As below, without what only several items need: that is half of what one costs.
        IF p_waits THEN
            SELECT * INTO bill FROM bills WHERE id = p_bill_ids[1] FOR NO KEY UPDATE;
        ELSE
            SELECT * INTO bill FROM bills WHERE id = p_bill_ids[1] FOR NO KEY UPDATE SKIP LOCKED;
        END IF;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        now := billing_now();
        IF p_api_keys[1] IS NOT NULL THEN
            PERFORM FROM api_keys WHERE id = p_api_keys[1] AND revoked_at IS NULL;
            v_is_revoked := NOT FOUND;
        END IF;
        IF p_keys[1] IS NOT NULL THEN
            SELECT * INTO v_known FROM idempotency_keys
            WHERE scope_id = p_bill_ids[1] AND account_id = p_account_ids[1] AND operation = 'add_line_item' AND key = p_keys[1];
        END IF;
        v_outcome := CASE WHEN v_is_revoked THEN 'unauthenticated'
                          WHEN v_known.fingerprint = p_fingerprints[1] THEN 'replayed'
                          WHEN v_known.fingerprint IS NOT NULL THEN 'idempotency_key_reused'
                          WHEN bill.status = 'closed' THEN 'bill_closed'
                          WHEN bill.status = 'closing' THEN 'bill_closing'
                          WHEN now >= bill.period_end THEN 'period_ended'
                          ELSE 'added' END;
        v_item_id := v_known.result_id;
        IF p_references[1] IS NOT NULL THEN
            -- What its own key or its caller's says stands; what the state of its bill says gives way to the reference.
            SELECT t.outcomes[1], t.item_ids[1], t.homes INTO v_outcome, v_item_id, homes
            FROM take_references(
                ARRAY[bill.customer_id], p_bill_ids, p_ids, ARRAY[v_item_id], p_fingerprints, p_sources, p_references,
                ARRAY[CASE WHEN v_outcome IN ('unauthenticated', 'replayed', 'idempotency_key_reused') THEN v_outcome
                           ELSE 'added' END],
                ARRAY[nullif(v_outcome, 'added')]) AS t;
        END IF;
        SELECT * INTO customer FROM customers WHERE id = bill.customer_id;
        SELECT array_agg(s.currency::text ORDER BY s.currency COLLATE "C"), array_agg(s.subtotal ORDER BY s.currency COLLATE "C")
        INTO currencies, subtotals FROM bill_subtotals s WHERE s.bill_id = p_bill_ids[1];
        ns := '{1}';
        outcomes := ARRAY[v_outcome];
        IF v_outcome = 'added' THEN
            INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                                    created_at, added_in_version, source, reference)
            VALUES (p_bill_ids[1], bill.item_count + 1, p_ids[1], p_descriptions[1], p_currencies[1], p_quantities[1],
                    p_unit_prices[1], p_totals[1], now, bill.version + 1, p_sources[1], p_references[1]);
            INSERT INTO bill_subtotals AS kept (bill_id, currency, subtotal)
            VALUES (p_bill_ids[1], p_currencies[1], p_totals[1])
            ON CONFLICT (bill_id, currency) DO UPDATE SET subtotal = kept.subtotal + excluded.subtotal;
            IF p_keys[1] IS NOT NULL THEN
                INSERT INTO idempotency_keys (scope_id, account_id, operation, key, fingerprint, result_id)
                VALUES (p_bill_ids[1], p_account_ids[1], 'add_line_item', p_keys[1], p_fingerprints[1], p_ids[1]);
            END IF;
            UPDATE bills SET version = version + 1, item_count = item_count + 1, updated_at = now WHERE id = p_bill_ids[1];
            INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id,
                                occurred_at, data)
            VALUES ('bill', p_bill_ids[1], bill.version + 1, 'line_items.added', p_actor_kinds[1], p_actor_ids[1],
                    p_actor_names[1], p_request_ids[1], now,
                    jsonb_build_object('first_position', bill.item_count + 1, 'last_position', bill.item_count + 1,
                                       'totals', jsonb_build_object(p_currencies[1], trim_scale(p_totals[1])::text)));
            item_ids := p_ids;
            positions := ARRAY[bill.item_count + 1];
            created_ats := ARRAY[now];
            versions := ARRAY[bill.version + 1];
        ELSIF v_outcome = 'replayed' THEN
            IF p_keys[1] IS NOT NULL AND v_known.fingerprint IS NULL THEN
                -- Remembered for what it gave, though it was there before.
                INSERT INTO idempotency_keys (scope_id, account_id, operation, key, fingerprint, result_id)
                VALUES (p_bill_ids[1], p_account_ids[1], 'add_line_item', p_keys[1], p_fingerprints[1], v_item_id);
            END IF;
            SELECT ARRAY[l.id], ARRAY[l.position], ARRAY[l.created_at], ARRAY[l.added_in_version]
            INTO item_ids, positions, created_ats, versions
            FROM line_items l WHERE l.bill_id = coalesce(homes[1], p_bill_ids[1]) AND l.id = v_item_id;
        END IF;
        RETURN NEXT;
        RETURN;
    END IF;

    IF p_waits THEN
        SELECT array_agg(b) INTO v_bills
        FROM (SELECT * FROM bills WHERE id = ANY (p_bill_ids) ORDER BY id FOR NO KEY UPDATE) AS b;
    ELSE
        SELECT array_agg(b) INTO v_bills
        FROM (SELECT * FROM bills WHERE id = ANY (p_bill_ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS b;
    END IF;
    v_now := billing_now();

    IF p_references IS NOT NULL THEN
        -- The same questions as below, asked before references are taken; bills that were left out take none.
        SELECT t.outcomes, t.item_ids, t.homes INTO v_outcomes, v_item_ids, v_homes
        FROM (
            SELECT array_agg(b.customer_id ORDER BY r.n) AS customer_ids, array_agg(known.result_id ORDER BY r.n) AS item_ids,
                   array_agg(CASE WHEN b.id IS NULL THEN 'left_out'
                                  WHEN r.api_key IS NOT NULL AND NOT EXISTS (
                                      SELECT FROM api_keys a WHERE a.id = r.api_key AND a.revoked_at IS NULL)
                                      THEN 'unauthenticated'
                                  WHEN known.fingerprint = r.fingerprint THEN 'replayed'
                                  WHEN known.fingerprint IS NOT NULL THEN 'idempotency_key_reused'
                                  ELSE 'added' END ORDER BY r.n) AS outcomes,
                   array_agg(CASE WHEN b.status = 'closed' THEN 'bill_closed'
                                  WHEN b.status = 'closing' THEN 'bill_closing'
                                  WHEN v_now >= b.period_end THEN 'period_ended' END ORDER BY r.n) AS refusals
            FROM unnest(p_bill_ids, p_account_ids, p_api_keys, p_keys, p_fingerprints)
                WITH ORDINALITY AS r(bill_id, account_id, api_key, key, fingerprint, n)
            LEFT JOIN unnest(v_bills) AS b ON b.id = r.bill_id
            LEFT JOIN LATERAL (
                SELECT k.fingerprint, k.result_id FROM idempotency_keys k
                WHERE k.scope_id = r.bill_id AND k.account_id = r.account_id AND k.operation = 'add_line_item'
                AND k.key = r.key LIMIT 1
            ) AS known ON true
        ) AS by_key
        CROSS JOIN LATERAL take_references(by_key.customer_ids, p_bill_ids, p_ids, by_key.item_ids, p_fingerprints, p_sources,
                                           p_references, by_key.outcomes, by_key.refusals) AS t;
    END IF;

    -- What this statement reads is as of its beginning: before its own changes, and with the locks held.
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT r.*, b.version, b.item_count, coalesce(r.item_id, known.result_id) AS result_id,
               known.fingerprint IS NOT NULL AS has_key,
               CASE WHEN r.by_reference IS NOT NULL THEN r.by_reference
                    WHEN r.api_key IS NOT NULL AND NOT EXISTS (
                        SELECT FROM api_keys a WHERE a.id = r.api_key AND a.revoked_at IS NULL) THEN 'unauthenticated'
                    WHEN known.fingerprint = r.fingerprint THEN 'replayed'
                    WHEN known.fingerprint IS NOT NULL THEN 'idempotency_key_reused'
                    WHEN b.status = 'closed' THEN 'bill_closed'
                    WHEN b.status = 'closing' THEN 'bill_closing'
                    WHEN v_now >= b.period_end THEN 'period_ended'
                    ELSE 'added' END AS outcome
        FROM unnest(p_bill_ids, p_ids, p_account_ids, p_api_keys, p_actor_kinds, p_actor_ids, p_actor_names,
                    p_request_ids, p_keys, p_fingerprints, p_descriptions, p_quantities, p_unit_prices, p_totals,
                    p_currencies, p_sources, p_references, v_outcomes, v_item_ids, v_homes)
            WITH ORDINALITY AS r(bill_id, id, account_id, api_key, actor_kind, actor_id, actor_name, request_id, key,
                                 fingerprint, description, quantity, unit_price, total, currency, source, reference,
                                 by_reference, item_id, home, n)
        JOIN unnest(v_bills) AS b ON b.id = r.bill_id
        LEFT JOIN LATERAL (
            SELECT k.fingerprint, k.result_id FROM idempotency_keys k
            WHERE k.scope_id = r.bill_id AND k.account_id = r.account_id AND k.operation = 'add_line_item'
            AND k.key = r.key LIMIT 1
        ) AS known ON true
    ), decided AS MATERIALIZED (
        SELECT a.*, count(*) FILTER (WHERE a.outcome = 'added') OVER (PARTITION BY a.bill_id ORDER BY a.n) AS nth
        FROM asked a
    ), added AS MATERIALIZED (
        SELECT d.* FROM decided d WHERE d.outcome = 'added'
    ), new_items AS (
        INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total, created_at,
                                added_in_version, source, reference)
        SELECT a.bill_id, a.item_count + a.nth, a.id, a.description, a.currency, a.quantity, a.unit_price, a.total,
               v_now, a.version + a.nth, a.source, a.reference
        FROM added a
    ), new_subtotals AS (
        INSERT INTO bill_subtotals AS kept (bill_id, currency, subtotal)
        SELECT a.bill_id, a.currency, sum(a.total) FROM added a GROUP BY a.bill_id, a.currency
        ON CONFLICT (bill_id, currency) DO UPDATE SET subtotal = kept.subtotal + excluded.subtotal
    ), new_keys AS (
        INSERT INTO idempotency_keys (scope_id, account_id, operation, key, fingerprint, result_id)
        SELECT d.bill_id, d.account_id, 'add_line_item', d.key, d.fingerprint,
               CASE d.outcome WHEN 'added' THEN d.id ELSE d.result_id END
        FROM decided d WHERE d.key IS NOT NULL AND NOT d.has_key AND d.outcome IN ('added', 'replayed')
    ), new_versions AS (
        UPDATE bills b SET version = b.version + grown.by, item_count = b.item_count + grown.by, updated_at = v_now
        FROM (SELECT a.bill_id, count(*) AS by FROM added a GROUP BY a.bill_id) AS grown WHERE b.id = grown.bill_id
    ), new_events AS (
        INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id,
                            occurred_at, data)
        SELECT 'bill', a.bill_id, a.version + a.nth, 'line_items.added', a.actor_kind, a.actor_id, a.actor_name,
               a.request_id, v_now,
               jsonb_build_object('first_position', a.item_count + a.nth, 'last_position', a.item_count + a.nth,
                                  'totals', jsonb_build_object(a.currency, trim_scale(a.total)::text))
        FROM added a ORDER BY a.n
    )
    SELECT b, c, s.currencies, s.subtotals, v_now, d.ns, d.outcomes, d.item_ids, d.positions, d.created_ats, d.versions,
           d.homes
    FROM (
        SELECT d.bill_id, array_agg(d.n ORDER BY d.n) AS ns, array_agg(d.outcome ORDER BY d.n) AS outcomes,
               array_agg(coalesce(i.id, d.id) ORDER BY d.n) AS item_ids,
               array_agg(coalesce(i.position, d.item_count + d.nth) ORDER BY d.n) AS positions,
               array_agg(coalesce(i.created_at, v_now) ORDER BY d.n) AS created_ats,
               array_agg(coalesce(i.added_in_version, d.version + d.nth) ORDER BY d.n) AS versions,
               array_agg(coalesce(d.home, d.bill_id) ORDER BY d.n) AS homes
        FROM decided d
        LEFT JOIN LATERAL (
            SELECT l.id, l.position, l.created_at, l.added_in_version FROM line_items l
            WHERE d.outcome = 'replayed' AND l.bill_id = coalesce(d.home, d.bill_id) AND l.id = d.result_id LIMIT 1
        ) AS i ON true
        GROUP BY d.bill_id
    ) AS d
    JOIN unnest(v_bills) AS b ON b.id = d.bill_id
    CROSS JOIN LATERAL (SELECT c FROM customers c WHERE c.id = b.customer_id LIMIT 1) AS c
    CROSS JOIN LATERAL (
        SELECT array_agg(k.currency::text ORDER BY k.currency COLLATE "C") AS currencies,
               array_agg(k.subtotal ORDER BY k.currency COLLATE "C") AS subtotals
        FROM bill_subtotals k WHERE k.bill_id = b.id
    ) AS s;
END
$$;
