-- Takes items of many callers, each a request of its own, onto one bill or several, in one transaction and one round
-- trip. What comes of it is what would come of the same requests one after the other, in the order of the arrays:
-- every item makes a version and an event of its own, under its own caller's name.
--
-- Not one statement, as in add_line_items: the bills' rows are locked first, in the order of their ids; keys, clock,
-- status and period are read afterwards. Unless p_waits, bills that somebody else has locked are left out.
--
-- Arrays run in parallel, one element an item; no two items may have the same bill, account and idempotency key.
-- p_api_keys names the API key that a caller was let in with on what a process remembered: one that was revoked since
-- gets the outcome 'unauthenticated', whatever else holds. Other outcomes are those of add_line_items.
--
-- One row a bill: the bill and its exact subtotals as they were before, and in `ns`, `outcomes` and so on its items, in
-- order, by their place in the arrays. No row for a bill that there isn't, or that was left out.
CREATE FUNCTION add_line_items_together(
    p_waits boolean, p_bill_ids uuid[], p_ids uuid[], p_account_ids uuid[], p_api_keys uuid[],
    p_actor_kinds text[], p_actor_ids text[], p_actor_names text[], p_request_ids text[],
    p_keys text[], p_fingerprints bytea[],
    p_descriptions text[], p_quantities numeric[], p_unit_prices numeric[], p_totals numeric[], p_currencies text[]
) RETURNS TABLE (
    bill bills, customer customers, currencies text[], subtotals numeric[], now timestamptz,
    ns bigint[], outcomes text[], item_ids uuid[], positions bigint[], created_ats timestamptz[], versions bigint[]
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
        SELECT * INTO customer FROM customers WHERE id = bill.customer_id;
        SELECT array_agg(s.currency::text ORDER BY s.currency COLLATE "C"), array_agg(s.subtotal ORDER BY s.currency COLLATE "C")
        INTO currencies, subtotals FROM bill_subtotals s WHERE s.bill_id = p_bill_ids[1];
        ns := '{1}';
        outcomes := ARRAY[v_outcome];
        IF v_outcome = 'added' THEN
            INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                                    created_at, added_in_version)
            VALUES (p_bill_ids[1], bill.item_count + 1, p_ids[1], p_descriptions[1], p_currencies[1], p_quantities[1],
                    p_unit_prices[1], p_totals[1], now, bill.version + 1);
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
            SELECT ARRAY[l.id], ARRAY[l.position], ARRAY[l.created_at], ARRAY[l.added_in_version]
            INTO item_ids, positions, created_ats, versions
            FROM line_items l WHERE l.bill_id = p_bill_ids[1] AND l.id = v_known.result_id;
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

    -- What this statement reads is as of its beginning: before its own changes, and with the locks held.
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT r.*, b.version, b.item_count, known.result_id,
               CASE WHEN r.api_key IS NOT NULL AND NOT EXISTS (
                        SELECT FROM api_keys a WHERE a.id = r.api_key AND a.revoked_at IS NULL) THEN 'unauthenticated'
                    WHEN known.fingerprint = r.fingerprint THEN 'replayed'
                    WHEN known.fingerprint IS NOT NULL THEN 'idempotency_key_reused'
                    WHEN b.status = 'closed' THEN 'bill_closed'
                    WHEN b.status = 'closing' THEN 'bill_closing'
                    WHEN v_now >= b.period_end THEN 'period_ended'
                    ELSE 'added' END AS outcome
        FROM unnest(p_bill_ids, p_ids, p_account_ids, p_api_keys, p_actor_kinds, p_actor_ids, p_actor_names,
                    p_request_ids, p_keys, p_fingerprints, p_descriptions, p_quantities, p_unit_prices, p_totals,
                    p_currencies)
            WITH ORDINALITY AS r(bill_id, id, account_id, api_key, actor_kind, actor_id, actor_name, request_id, key,
                                 fingerprint, description, quantity, unit_price, total, currency, n)
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
                                added_in_version)
        SELECT a.bill_id, a.item_count + a.nth, a.id, a.description, a.currency, a.quantity, a.unit_price, a.total,
               v_now, a.version + a.nth
        FROM added a
    ), new_subtotals AS (
        INSERT INTO bill_subtotals AS kept (bill_id, currency, subtotal)
        SELECT a.bill_id, a.currency, sum(a.total) FROM added a GROUP BY a.bill_id, a.currency
        ON CONFLICT (bill_id, currency) DO UPDATE SET subtotal = kept.subtotal + excluded.subtotal
    ), new_keys AS (
        INSERT INTO idempotency_keys (scope_id, account_id, operation, key, fingerprint, result_id)
        SELECT a.bill_id, a.account_id, 'add_line_item', a.key, a.fingerprint, a.id FROM added a WHERE a.key IS NOT NULL
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
    SELECT b, c, s.currencies, s.subtotals, v_now, d.ns, d.outcomes, d.item_ids, d.positions, d.created_ats, d.versions
    FROM (
        SELECT d.bill_id, array_agg(d.n ORDER BY d.n) AS ns, array_agg(d.outcome ORDER BY d.n) AS outcomes,
               array_agg(coalesce(i.id, d.id) ORDER BY d.n) AS item_ids,
               array_agg(coalesce(i.position, d.item_count + d.nth) ORDER BY d.n) AS positions,
               array_agg(coalesce(i.created_at, v_now) ORDER BY d.n) AS created_ats,
               array_agg(coalesce(i.added_in_version, d.version + d.nth) ORDER BY d.n) AS versions
        FROM decided d
        LEFT JOIN LATERAL (
            SELECT l.id, l.position, l.created_at, l.added_in_version FROM line_items l
            WHERE d.outcome = 'replayed' AND l.bill_id = d.bill_id AND l.id = d.result_id LIMIT 1
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
