"""Who and what the demo is about. Nobody and nothing here exists."""

# ruff: noqa: E501 - tables are read by their columns

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    id: str
    name: str
    email: str
    address: str


@dataclass(frozen=True, slots=True)
class Line:
    description: str
    quantity: Decimal
    unit_price: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class DemoBill:
    """Period from `starts` to `ends`, counted from the demo's beginning; `reversals` are reasons by line."""

    key: str
    customer_id: str
    starts: timedelta
    ends: timedelta
    lines: tuple[Line, ...]
    reversals: dict[int, str] = field(default_factory=dict)
    close: bool = False


def _line(description: str, quantity: str, unit_price: str, currency: str) -> Line:
    return Line(description, Decimal(quantity), Decimal(unit_price), currency)


SELLER = ("Lantern Payments LLC", "5 Chavchavadze Avenue\n0179 Tbilisi\nGeorgia", "GE 000 000 000")

CUSTOMERS = (
    DemoCustomer("mtkvari-freight", "Mtkvari Freight LLC", "accounts@mtkvari-freight.example", "14 Agmashenebeli Ave\n0102 Tbilisi\nGeorgia"),
    DemoCustomer("halden-optics", "Halden Optics GmbH", "rechnung@halden-optics.example", "Lindenstrasse 8\n10969 Berlin\nGermany"),
    DemoCustomer("brightwater-dental", "Brightwater Dental Group", "ap@brightwater.example", "2210 Harbor Road, Suite 300\nPortland, OR 97201\nUSA"),
    DemoCustomer("sakura-print", "Sakura Print K.K.", "keiri@sakura-print.example", "3-7-1 Kanda\nChiyoda-ku, Tokyo 101-0044\nJapan"),
    DemoCustomer("al-noor-trading", "Al Noor Trading W.L.L.", "finance@alnoor.example", "Block 12, Fahad Al-Salem Street\nKuwait City\nKuwait"),
    DemoCustomer("oak-and-anvil", "Oak & Anvil Furniture Ltd", "bills@oakandanvil.example", "Unit 5, Canal Works\nSheffield S3 8RX\nUnited Kingdom"),
    DemoCustomer("andes-verde", "Andes Verde SpA", "pagos@andesverde.example", "Av. Providencia 1650, Of. 402\nSantiago\nChile"),
    DemoCustomer("kura-studio", "Kura Studio", "hello@kurastudio.example", "Rustaveli 22\n6000 Batumi\nGeorgia"),
)  # fmt: skip

PLATFORM = _line("Platform fee, Scale plan", "1", "249.00", "USD")
SEATS = _line("Seats", "18", "12.50", "USD")
CARD_FEES = _line("Card payments, 0.29 % of volume", "184230.55", "0.0029", "EUR")
TRANSFERS = _line("SEPA transfers", "1240", "0.18", "EUR")
LOCAL_FEES = _line("Local card payments", "6", "0.6", "GEL")
LOCAL_TRANSFERS = _line("Instant transfers within Georgia", "415", "0.35", "GEL")
API_CALLS = _line("API calls above the plan", "128417", "0.000125", "USD")
PAYOUTS = _line("Payouts to Kuwait", "37", "0.425", "KWD")
STORAGE = _line("Document storage, GB-months", "86.5", "0.021", "GBP")
SETTLEMENT = _line("Settlement reports", "4", "1500", "JPY")
CHARGEBACK = _line("Chargeback handling", "2", "15", "USD")
INDEXED = _line("Indexed service fee", "1.5", "0.8125", "CLF")
PESO_FEES = _line("Local collection", "312", "145", "CLP")
SUPPORT = _line("Priority support", "1", "180", "GBP")

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
MONTH_SO_FAR = -21 * DAY
DUPLICATE = "Entered twice"

BILLS = (
    DemoBill("mtkvari-current", "mtkvari-freight", MONTH_SO_FAR, 9 * DAY, (PLATFORM, LOCAL_FEES, LOCAL_TRANSFERS, API_CALLS)),
    DemoBill("mtkvari-october", "mtkvari-freight", -52 * DAY, DAY, (PLATFORM, LOCAL_TRANSFERS, LOCAL_TRANSFERS), {2: DUPLICATE}, close=True),
    DemoBill("mtkvari-september", "mtkvari-freight", -82 * DAY, DAY, (PLATFORM, LOCAL_FEES), close=True),
    DemoBill("halden-current", "halden-optics", MONTH_SO_FAR, 9 * DAY, (CARD_FEES, TRANSFERS, PLATFORM)),
    DemoBill("halden-october", "halden-optics", -52 * DAY, DAY, (CARD_FEES, TRANSFERS), close=True),
    DemoBill("halden-pilot", "halden-optics", -5 * DAY, 12 * MINUTE, (TRANSFERS, API_CALLS)),
    DemoBill("brightwater-current", "brightwater-dental", MONTH_SO_FAR, 9 * DAY, (PLATFORM, SEATS, CHARGEBACK, CHARGEBACK), {3: "Chargeback was withdrawn"}),
    DemoBill("brightwater-october", "brightwater-dental", -52 * DAY, DAY, (PLATFORM, SEATS, API_CALLS), close=True),
    DemoBill("brightwater-quarter", "brightwater-dental", -10 * DAY, 80 * DAY, ()),
    DemoBill("sakura-current", "sakura-print", MONTH_SO_FAR, 9 * DAY, (SETTLEMENT, API_CALLS, SEATS)),
    DemoBill("sakura-october", "sakura-print", -52 * DAY, DAY, (SETTLEMENT, SEATS), close=True),
    DemoBill("al-noor-current", "al-noor-trading", MONTH_SO_FAR, 9 * DAY, (PAYOUTS, PLATFORM, TRANSFERS)),
    DemoBill("al-noor-soon", "al-noor-trading", -7 * DAY, 4 * MINUTE, (PAYOUTS,)),
    DemoBill("oak-current", "oak-and-anvil", MONTH_SO_FAR, 9 * DAY, (STORAGE, SUPPORT, SEATS)),
    DemoBill("oak-october", "oak-and-anvil", -52 * DAY, DAY, (STORAGE, SUPPORT), close=True),
    DemoBill("oak-trial", "oak-and-anvil", -14 * DAY, DAY, (), close=True),
    DemoBill("andes-current", "andes-verde", MONTH_SO_FAR, 9 * DAY, (INDEXED, PESO_FEES, PLATFORM)),
    DemoBill("andes-october", "andes-verde", -52 * DAY, DAY, (INDEXED, PESO_FEES, PESO_FEES), {2: DUPLICATE}, close=True),
    DemoBill("kura-current", "kura-studio", MONTH_SO_FAR, 9 * DAY, (LOCAL_FEES, _line("Starter plan", "1", "45", "GEL"))),
    DemoBill("kura-week", "kura-studio", -7 * DAY, 2 * DAY, (LOCAL_FEES, LOCAL_TRANSFERS, STORAGE)),
)  # fmt: skip
