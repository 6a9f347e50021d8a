from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import money
from billing.deliveries import Accepted, FetchedRates, NotModified, Quarantined, RatesRefused, Unchanged, Verdict, judge
from billing.rates import RateSnapshot, convert

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CODES = ["USD", "GEL", "EUR", "JPY", "KWD", "CLF", "TRY"]
D = Decimal


def snapshot(*, at: datetime = NOW, sample: bool = False, **rates: str) -> RateSnapshot:
    figures = {"USD": D(1), **{code: D(rate) for code, rate in rates.items()}}
    return RateSnapshot(UUID(int=1), "test", "USD", at, at, figures, sample)


def payable(amount: str, code: str) -> money.Payable:
    return money.payable(D(amount), money.currency(code))


def delivery(*, at: datetime = NOW, base: str = "USD", **rates: object) -> FetchedRates:
    figures = {
        "USD": D(1),
        **{code: D(rate) if isinstance(rate, str) else rate for code, rate in rates.items()},
    }
    return FetchedRates("test", base, at, figures)


def judged(
    delivered: FetchedRates | NotModified,
    current: RateSnapshot | None = None,
    pending: Quarantined | None = None,
    now: datetime = NOW,
) -> Verdict:
    return judge(delivered, current=current, pending=pending, now=now, snapshot_id=uuid4())


def refusal(delivered: FetchedRates, current: RateSnapshot | None = None) -> str:
    with pytest.raises(RatesRefused) as caught:
        judged(delivered, current)
    assert str(caught.value)
    return caught.value.reason


# Age


def test_age_is_that_of_the_figures():
    rates = snapshot(at=NOW)
    assert rates.age(NOW + HOUR) == HOUR
    assert rates.age(NOW - HOUR) == timedelta(0)
    assert replace(rates, fetched_at=NOW + 9 * HOUR).age(NOW + 9 * HOUR) == 9 * HOUR


def test_rates_are_stale_when_older_than_the_limit():
    rates = snapshot(at=NOW)
    assert not rates.is_stale(NOW + 24 * HOUR)
    assert rates.is_stale(NOW + 24 * HOUR + timedelta(microseconds=1))
    assert rates.is_stale(NOW + 2 * HOUR, limit=HOUR)


# Conversion


def test_conversion_can_be_recomputed_by_hand():
    rates = snapshot(GEL="2.7", EUR="0.9")
    conversion = convert([payable("3.6", "GEL"), payable("10", "EUR")], rates, money.currency("EUR"))
    gel, eur = conversion.legs
    assert (gel.rate_from, gel.rate_to, gel.converted) == (D("2.7"), D("0.9"), D("1.20"))
    assert (eur.rate_from, eur.rate_to, eur.converted) == (None, None, D("10.00"))
    assert conversion.amount == D("11.20")
    assert str(conversion.amount) == "11.20"
    assert conversion.snapshot is rates
    assert conversion.is_available


def test_what_is_displayed_adds_up_because_each_leg_is_rounded():
    rates = snapshot(GEL="2", EUR="2")
    conversion = convert([payable("0.01", "GEL"), payable("0.01", "EUR")], rates, money.currency("USD"))
    assert [leg.converted for leg in conversion.legs] == [D("0.01"), D("0.01")]
    assert conversion.amount == D("0.02")


def test_conversion_starts_from_the_payable_rather_than_the_subtotal():
    conversion = convert([payable("0.004", "GEL")], snapshot(GEL="0.001"), money.currency("USD"))
    assert conversion.amount == D("0.00")


def test_a_quotient_is_rounded_once():
    """0.014999… with 29 nines must not become 0.015 at 28 digits first, and 0.02 then."""
    rates = snapshot(GEL="1.00000000000000000000000000001", EUR="0.015")
    converted = convert([payable("1", "GEL")], rates, money.currency("EUR"))
    assert converted.amount == D("0.01")


@pytest.mark.parametrize(
    ("to", "text"), [("JPY", "155"), ("USD", "1.00"), ("KWD", "0.307"), ("CLF", "0.0234"), ("CLP", "927")]
)
def test_a_conversion_has_the_minor_units_of_its_target(to, text):
    rates = snapshot(JPY="154.62", KWD="0.30694", CLF="0.02338", CLP="927.4")
    assert str(convert([payable("1", "USD")], rates, money.currency(to)).amount) == text


def test_a_bill_in_the_target_currency_alone_needs_no_rates():
    for rates in (None, snapshot(), snapshot(EUR="0.9")):
        conversion = convert([payable("3.605", "GEL")], rates, money.currency("GEL"))
        assert (conversion.amount, conversion.reason) == (D("3.61"), None)


def test_an_empty_bill_converts_to_nothing_owed():
    conversion = convert([], None, money.currency("JPY"))
    assert (str(conversion.amount), conversion.legs) == ("0", ())
    assert str(convert([], None, money.currency("KWD")).amount) == "0.000"


@pytest.mark.parametrize(
    ("rates", "missing"),
    [
        (None, ("EUR", "GEL", "TRY")),
        (snapshot(EUR="0.9", GEL="2.7"), ("TRY",)),
        (snapshot(TRY="42", GEL="2.7"), ("EUR",)),
        (snapshot(TRY="42"), ("EUR", "GEL")),
    ],
)
def test_one_missing_rate_makes_the_whole_conversion_unavailable(rates, missing):
    payables = [payable("1", "EUR"), payable("3.6", "GEL"), payable("0", "TRY")]
    conversion = convert(payables, rates, money.currency("EUR"))
    assert (conversion.amount, conversion.reason, conversion.legs) == (None, "rate_missing", ())
    assert conversion.missing == missing
    assert not conversion.is_available


amounts = st.decimals(min_value=-(10**20), max_value=10**20, places=18, allow_nan=False)
rate_figures = st.builds(lambda units, exponent: D(units).scaleb(exponent), st.integers(1, 10**12), st.integers(-12, 0))
snapshots = st.fixed_dictionaries({code: rate_figures for code in CODES if code != "USD"}).map(
    lambda rates: RateSnapshot(UUID(int=1), "test", "USD", NOW, NOW, {"USD": D(1), **rates})
)
bills = st.dictionaries(st.sampled_from(CODES), amounts).map(
    lambda subtotals: [money.payable(amount, money.currency(code)) for code, amount in subtotals.items()]
)


@given(bills, snapshots, st.sampled_from(CODES).map(money.currency))
def test_conversion_is_the_exact_quotient_rounded_half_up(payables, rates, to):
    conversion = convert(payables, rates, to)
    assert conversion.amount == sum((Fraction(leg.converted) for leg in conversion.legs), Fraction(0))
    for each, leg in zip(payables, conversion.legs, strict=True):
        if each.currency == to:
            assert leg.converted == each.amount
        else:
            exact = Fraction(each.amount) * Fraction(leg.rate_to) / Fraction(leg.rate_from)
            assert leg.converted == half_up(exact, to)
        assert leg.converted.as_tuple().exponent == -to.minor_units


def half_up(exact: Fraction, to: money.Currency) -> Fraction:
    """The nearest multiple of the smallest unit, and of two equally near the one further from zero."""
    unit = Fraction(1, 10**to.minor_units)
    below = exact // unit * unit
    nearest = sorted((below, below + unit), key=lambda candidate: (abs(candidate - exact), -abs(candidate)))
    return nearest[0]


@given(bills, snapshots, st.sampled_from(CODES).map(money.currency), st.sampled_from(CODES))
def test_taking_a_rate_away_never_gives_a_partial_sum(payables, rates, to, lost):
    whole = convert(payables, rates, to)
    left = replace(rates, rates={code: rate for code, rate in rates.rates.items() if code != lost})
    assert convert(payables, left, to).amount in (whole.amount, None)


# Deliveries, what is refused


def test_a_sound_delivery_is_accepted_as_it_is():
    verdict = judged(delivery(GEL="2.70", JPY="1.5E+2"))
    assert isinstance(verdict, Accepted)
    assert verdict.snapshot.rates == {"USD": 1, "GEL": D("2.7"), "JPY": D(150)}
    assert str(verdict.snapshot.rates["JPY"]) == "150"
    assert (verdict.snapshot.provider_time, verdict.snapshot.fetched_at) == (NOW, NOW)
    assert not verdict.snapshot.sample


@pytest.mark.parametrize(
    "rate",
    [
        D(0), D("-0"), D("-2.7"), D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity"), D("1e400"), D("1e-400"),
        D("1e-13"), D("1e13"), D("2." + "7" * 40), 2.7, 2, True, None, "2.7", [], {},
    ],
)  # fmt: skip
def test_one_bad_rate_refuses_the_whole_delivery(rate):
    fetched = FetchedRates("test", "USD", NOW, {"USD": D(1), "GEL": rate, "EUR": D("0.9")})
    assert refusal(fetched) == "bad_rate"


def test_codes_that_are_no_currencies_are_ignored_whatever_they_hold():
    verdict = judged(delivery(GEL="2.7", BTC="-1", XAU=None, gel=True, XXX="1"))
    assert isinstance(verdict, Accepted)
    assert verdict.snapshot.rates.keys() == {"USD", "GEL"}


def test_a_delivery_that_lacks_a_currency_is_accepted_without_it():
    verdict = judged(delivery(EUR="0.9"), current=snapshot(GEL="2.7", EUR="0.9", at=NOW - HOUR))
    assert isinstance(verdict, Accepted)
    assert "GEL" not in verdict.snapshot.rates


def test_a_delivery_without_any_currency_is_refused():
    assert refusal(delivery()) == "no_rates"
    assert refusal(FetchedRates("test", "USD", NOW, {"BTC": D("0.00001")})) == "no_rates"
    assert refusal(FetchedRates("test", "USD", NOW, {})) == "no_rates"


def test_the_base_is_the_dollar_at_one():
    assert refusal(delivery(base="EUR", GEL="2.7")) == "wrong_base"
    assert refusal(delivery(base="usd", GEL="2.7")) == "wrong_base"
    assert refusal(delivery(GEL="2.7", USD="1.01")) == "base_rate_not_one"
    without = judged(FetchedRates("test", "USD", NOW, {"GEL": D("2.7")}))
    assert isinstance(without, Accepted)
    assert without.snapshot.rates["USD"] == 1


def test_times_to_come_are_refused_beyond_a_small_skew_of_clocks():
    assert refusal(delivery(at=NOW + 24 * HOUR, GEL="2.7")) == "future_time"
    assert refusal(delivery(at=NOW + MINUTE + timedelta(microseconds=1), GEL="2.7")) == "future_time"
    ahead = judged(delivery(at=NOW + MINUTE, GEL="2.7"))
    assert isinstance(ahead, Accepted)
    assert ahead.snapshot.provider_time == NOW


def test_last_weeks_time_is_refused():
    assert refusal(delivery(at=NOW - timedelta(days=7), GEL="2.7")) == "stale_time"
    assert refusal(delivery(at=NOW - 24 * HOUR - timedelta(microseconds=1), GEL="2.7")) == "stale_time"
    assert isinstance(judged(delivery(at=NOW - 24 * HOUR, GEL="2.7")), Accepted)


def test_how_old_a_delivery_may_be_is_configurable():
    with pytest.raises(RatesRefused):
        judge(
            delivery(at=NOW - 2 * HOUR, GEL="2.7"),
            current=None, pending=None, now=NOW, snapshot_id=uuid4(), stale_after=HOUR,
        )  # fmt: skip


def test_times_never_go_back():
    current = snapshot(GEL="2.7", at=NOW - HOUR)
    assert refusal(delivery(at=NOW - 2 * HOUR, GEL="2.8"), current) == "not_newer"


def test_samples_are_no_standard_for_real_rates():
    sample = snapshot(GEL="2.7", at=NOW + HOUR, sample=True)
    assert isinstance(judged(delivery(GEL="27"), sample), Accepted)


# Deliveries, what is new


def test_the_same_rates_of_the_same_time_are_unchanged():
    current = snapshot(GEL="2.7")
    assert judged(delivery(GEL="2.70"), current) == Unchanged()
    assert judged(NotModified(), current) == Unchanged()


def test_a_later_time_is_a_new_snapshot_even_with_the_same_rates():
    verdict = judged(delivery(GEL="2.7"), snapshot(GEL="2.7", at=NOW - HOUR))
    assert isinstance(verdict, Accepted)
    assert verdict.snapshot.provider_time == NOW


def test_rates_corrected_under_the_same_time_are_a_new_snapshot():
    assert isinstance(judged(delivery(GEL="2.8"), snapshot(GEL="2.7")), Accepted)


# Deliveries, quarantine

BEFORE = snapshot(GEL="2", EUR="0.9", at=NOW - HOUR)


def quarantined(delivered: FetchedRates, pending: Quarantined | None = None) -> Quarantined:
    verdict = judged(delivered, BEFORE, pending)
    assert isinstance(verdict, Quarantined)
    return verdict


@pytest.mark.parametrize(("rate", "waits"), [("4", False), ("4.01", True), ("1", False), ("0.99", True)])
def test_a_rate_that_moved_by_more_than_a_factor_of_two_waits(rate, waits):
    verdict = judged(delivery(GEL=rate, EUR="0.9"), BEFORE)
    assert isinstance(verdict, Quarantined if waits else Accepted)


def test_quarantine_names_what_moved():
    verdict = quarantined(delivery(GEL="20", EUR="0.09"))
    assert [(move.currency, move.before, move.after) for move in verdict.moves] == [
        ("EUR", D("0.9"), D("0.09")),
        ("GEL", D(2), D(20)),
    ]
    assert verdict.agreeing_fetches == 1


def test_the_third_agreeing_fetch_is_accepted():
    first = quarantined(delivery(GEL="20", EUR="0.9"))
    second = quarantined(delivery(GEL="20.9", EUR="0.9"), first)
    assert second.agreeing_fetches == 2
    third = judged(delivery(GEL="20.5", EUR="0.91"), BEFORE, second)
    assert isinstance(third, Accepted)
    assert third.agreeing_fetches == 3
    assert third.snapshot.rates["GEL"] == D("20.5")


def test_not_modified_agrees_with_what_it_was_asked_about():
    first = quarantined(delivery(at=NOW - MINUTE, GEL="20", EUR="0.9"))
    second = judged(NotModified(), BEFORE, first)
    assert isinstance(second, Quarantined)
    assert second.agreeing_fetches == 2
    third = judged(NotModified(), BEFORE, second, now=NOW + HOUR)
    assert isinstance(third, Accepted)
    assert third.snapshot.provider_time == NOW - MINUTE
    assert third.snapshot.fetched_at == NOW + HOUR
    assert third.snapshot.id not in (first.snapshot.id, second.snapshot.id)


def test_what_was_quarantined_too_long_ago_is_refused_like_any_old_delivery():
    first = quarantined(delivery(GEL="20", EUR="0.9"))
    with pytest.raises(RatesRefused):
        judged(NotModified(), BEFORE, first, now=NOW + 25 * HOUR)


@pytest.mark.parametrize(
    "rates",
    [
        {"GEL": "21.1", "EUR": "0.9"},  # further than 5 % from the first fetch
        {"GEL": "20", "EUR": "0.8"},  # something else differs
        {"GEL": "20", "EUR": "9"},  # something else moved as well
        {"GEL": "0.2", "EUR": "0.9"},  # the other way
    ],
)
def test_a_fetch_that_does_not_agree_starts_anew(rates):
    first = quarantined(delivery(GEL="20", EUR="0.9"))
    second = quarantined(delivery(GEL="20", EUR="0.9"), first)
    other = quarantined(delivery(**rates), second)
    assert other.agreeing_fetches == 1
    assert quarantined(delivery(**rates), other).agreeing_fetches == 2


def test_a_move_of_a_currency_that_the_pending_one_lacks_starts_anew():
    first = quarantined(delivery(GEL="20"))
    assert quarantined(delivery(GEL="20", EUR="9"), first).agreeing_fetches == 1


def test_rates_back_in_range_end_the_quarantine():
    first = quarantined(delivery(GEL="20", EUR="0.9"))
    assert isinstance(judged(delivery(GEL="2.1", EUR="0.9"), BEFORE, first), Accepted)
    again = delivery(at=BEFORE.provider_time, GEL="2", EUR="0.9")
    assert judged(again, BEFORE, first) == Unchanged()


def test_without_a_rate_to_compare_with_nothing_moved():
    assert isinstance(judged(delivery(GEL="2", EUR="0.9", TRY="42"), BEFORE), Accepted)


@given(st.dictionaries(st.sampled_from(CODES[1:]), rate_figures, min_size=1))
def test_whatever_is_accepted_can_be_converted_with(rates):
    verdict = judged(FetchedRates("test", "USD", NOW, rates))
    assert isinstance(verdict, Accepted)
    for code in rates:
        assert convert([payable("1e15", "USD")], verdict.snapshot, money.currency(code)).is_available
