from decimal import Decimal

from billing import money
from billing.exchange.sample import PROVIDER_TIME, SNAPSHOT_ID, sample_snapshot
from billing.rates import convert

MUCH_USED = """USD GEL EUR GBP JPY CHF CAD AUD NZD CNY HKD SGD KRW INR SEK NOK DKK PLN CZK HUF RON TRY UAH AMD
    AZN KZT AED SAR QAR KWD BHD OMR JOD ILS
    EGP ZAR NGN KES BRL MXN ARS CLP CLF COP THB IDR MYR PHP VND TWD TND"""


def test_samples_say_that_they_are():
    sample = sample_snapshot()
    assert sample.sample
    assert sample.provider == "sample"
    assert (sample.id, sample.provider_time, sample.fetched_at) == (SNAPSHOT_ID, PROVIDER_TIME, PROVIDER_TIME)


def test_samples_cover_the_currencies_in_use_and_none_that_is_not_one():
    rates = sample_snapshot().rates
    assert set(MUCH_USED.split()) <= rates.keys()
    assert all(money.is_currency(code) and rate > 0 for code, rate in rates.items())


def test_samples_are_believable():
    rates = sample_snapshot().rates
    assert rates["USD"] == 1
    assert Decimal("2.4") < rates["GEL"] < Decimal("3.2")
    assert rates["GIP"] == rates["GBP"]
    # A unidad de fomento is worth some 40 thousand pesos.
    assert 35_000 < rates["CLP"] / rates["CLF"] < 45_000


def test_samples_convert():
    gel, usd = money.currency("GEL"), money.currency("USD")
    conversion = convert([money.payable(Decimal("3.6"), gel)], sample_snapshot(), usd)
    assert conversion.amount == Decimal("1.33")
