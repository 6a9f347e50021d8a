-- What time it is for the business. Tests and test mode move it with the setting pave.clock_offset.
CREATE FUNCTION billing_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT clock_timestamp() + coalesce(nullif(current_setting('pave.clock_offset', true), '')::interval, interval '0')
$$;

-- Takes up to 1,000 items onto a bill in one transaction and one round trip.
--
-- Not one statement: under READ COMMITTED a statement's snapshot and clock predate its wait for the
-- lock, so that it would miss a concurrent repeat and let late items in. Here the bill's row is locked
-- first; keys, clock, status and period are read afterwards.
--
-- Arrays run in parallel, one element a row. Outcomes are 'added', 'replayed', 'idempotency_key_reused',
-- or the reason for which the bill takes nothing ('bill_closed', 'bill_closing', 'period_ended').
-- No row comes back when there is no such bill.
CREATE FUNCTION add_line_items(
    p_bill_id uuid, p_operation text, p_event text,
    p_account_id uuid, p_actor_kind text, p_actor_id text, p_actor_name text, p_request_id text,
    p_call_key text, p_call_fingerprint bytea,
    p_ids uuid[], p_keys text[], p_fingerprints bytea[],
    p_descriptions text[], p_quantities numeric[], p_unit_prices numeric[], p_totals numeric[], p_currencies text[],
    p_reverses uuid[], p_reasons text[]
) RETURNS TABLE (
    call_outcome text, outcomes text[], item_ids uuid[], positions bigint[], created_ats timestamptz[], versions bigint[],
    bill bills, customer customers, currencies text[], subtotals numeric[]
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
        IF v_refusal IS NOT NULL THEN
            outcomes := array_replace(outcomes, 'added', v_refusal);
        END IF;

        v_added := cardinality(array_positions(outcomes, 'added'));
        IF v_added > 0 THEN
            IF v_single THEN
                -- As below, without what only several rows need: half of what one item costs would be that.
                INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                                        created_at, added_in_version, reverses, reason)
                VALUES (p_bill_id, bill.item_count + 1, p_ids[1], p_descriptions[1], p_currencies[1], p_quantities[1],
                        p_unit_prices[1], p_totals[1], v_now, bill.version + 1, p_reverses[1], p_reasons[1]);
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
                                        created_at, added_in_version, reverses, reason)
                SELECT p_bill_id, bill.item_count + row_number() OVER (ORDER BY n), r.id, r.description, r.currency, r.quantity,
                       r.unit_price, r.total, v_now, bill.version + 1, r.reverses, r.reason
                FROM unnest(p_ids, outcomes, p_descriptions, p_quantities, p_unit_prices, p_totals, p_currencies,
                            p_reverses, p_reasons)
                    WITH ORDINALITY AS r(id, outcome, description, quantity, unit_price, total, currency, reverses, reason, n)
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
        FROM unnest(item_ids) WITH ORDINALITY AS r(id, n)
        LEFT JOIN LATERAL (
            SELECT l.position, l.created_at, l.added_in_version FROM line_items l
            WHERE l.bill_id = p_bill_id AND l.id = r.id LIMIT 1
        ) AS i ON true;
    END IF;
    SELECT * INTO customer FROM customers WHERE id = bill.customer_id;
    SELECT array_agg(s.currency ORDER BY s.currency COLLATE "C"), array_agg(s.subtotal ORDER BY s.currency COLLATE "C")
    INTO currencies, subtotals FROM bill_subtotals s WHERE s.bill_id = p_bill_id;
    RETURN NEXT;
END
$$;
