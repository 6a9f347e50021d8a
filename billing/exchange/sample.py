"""The rates that serve while no app id is configured.

They are rounded figures of a believable day, good for trying the system out and for nothing else:
whatever shows them says that they are samples.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from billing.rates import BASE, RateSnapshot

PROVIDER = "sample"
# Fixed, so that every process and every start means the same row.
SNAPSHOT_ID = UUID("01a1f8d3-ea00-7000-8000-000000000001")
PROVIDER_TIME = datetime(2026, 11, 20, 12, tzinfo=UTC)

_UNITS_PER_USD = """
    AED 3.6725      AFN 66.4        ALL 82.9        AMD 382.15      AOA 917.2       ARS 1412.5
    AUD 1.5318      AWG 1.79        AZN 1.7         BAM 1.6812      BBD 2           BDT 122.05
    BHD 0.37695     BIF 2952.4      BMD 1           BND 1.3014      BOB 6.91        BRL 5.3342
    BSD 1           BTN 88.62       BWP 13.38       BYN 3.405       BZD 2.0125      CAD 1.4023
    CDF 2221        CHF 0.7986      CLF 0.02338     CLP 927.4       CNY 7.1154      COP 3768.9
    CRC 500.6       CUP 24          CVE 94.75       CZK 20.79       DJF 177.9       DKK 6.4187
    DOP 64.25       DZD 130.3       EGP 47.36       ERN 15          ETB 153.8       EUR 0.8596
    FJD 2.278       FKP 0.7614      GBP 0.7614      GEL 2.7052      GHS 10.98       GIP 0.7614
    GMD 73.2        GNF 8687        GTQ 7.661       GYD 209.1       HKD 7.7735      HNL 26.3
    HTG 130.9       HUF 330.45      IDR 16690       ILS 3.2406      INR 88.62       IQD 1309.6
    IRR 42105       ISK 126.8       JMD 160.6       JOD 0.709       JPY 154.62      KES 129.3
    KGS 87.45       KHR 4018        KMF 424.1       KRW 1465.8      KWD 0.30694     KYD 0.8333
    KZT 523.7       LAK 21690       LBP 89550       LKR 304.9       LRD 181.4       LSL 17.19
    LYD 5.462       MAD 9.268       MDL 16.97       MGA 4487        MKD 52.94       MMK 2098
    MNT 3571        MOP 8.0067      MRU 39.75       MUR 45.88       MVR 15.4        MWK 1733.7
    MXN 18.3605     MYR 4.1382      MZN 63.95       NAD 17.19       NGN 1441.5      NIO 36.79
    NOK 10.0835     NPR 141.8       NZD 1.7655      OMR 0.3845      PAB 1           PEN 3.372
    PGK 4.231       PHP 58.94       PKR 281.4       PLN 3.6402      PYG 7012        QAR 3.64
    RON 4.3721      RSD 100.75      RUB 81.15       RWF 1452.8      SAR 3.75        SBD 8.238
    SCR 13.72       SDG 600.5       SEK 9.4406      SGD 1.3014      SHP 0.7614      SLE 23.15
    SOS 571.2       SRD 38.55       SSP 4707        STN 21.06       SVC 8.75        SYP 11020
    SZL 17.19       THB 32.38       TJS 9.254       TMT 3.5         TND 2.947       TOP 2.4
    TRY 42.2871     TTD 6.781       TWD 31.16       TZS 2446        UAH 42.0563     UGX 3628
    USD 1           UYU 39.78       UZS 11985       VES 233.6       VND 26342       VUV 122.1
    WST 2.79        XAF 563.86      XCD 2.7         XCG 1.79        XOF 563.86      XPF 102.58
    YER 238.5       ZAR 17.1904     ZMW 22.61       ZWG 26.35
"""


def sample_snapshot() -> RateSnapshot:
    figures = _UNITS_PER_USD.split()
    rates = {code: Decimal(rate) for code, rate in zip(figures[::2], figures[1::2], strict=True)}
    return RateSnapshot(SNAPSHOT_ID, PROVIDER, BASE, PROVIDER_TIME, PROVIDER_TIME, rates, sample=True)
