"""Currency codes and how many digits follow their point.

The table is pinned with the contract catalogue, so that an upgraded package never changes what a
stored amount means. Source: ISO 4217 list one of 2026-01-01 (a test compares it with the
`iso4217` package) and list three for the withdrawn codes.
"""

from __future__ import annotations

TABLE_DATE = "2026-01-01"

_CURRENT = {
    0: ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "),
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN "
        "BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP "
        "ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR "
        "IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT "
        "MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP "
        "PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC "
        "SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD "
        "XCD XCG YER ZAR ZMW ZWG "
    ),
    3: ("BHD IQD JOD KWD LYD OMR TND "),
    4: ("CLF UYW "),
}

_WITHDRAWN = {
    0: (
        "BEF:2002 BYR:2016 ESP:2002 GRD:2002 ITL:2002 LUF:2002 MGF:2004 PTE:2002 ROL:2005 TRL:2005 "
    ),
    2: (
        "AFA:2003 ANG:2025 ATS:2002 AZM:2005 BGL:1999 BGN:2026 CSD:2006 CUC:2021 CYP:2008 "
        "DEM:2002 EEK:2011 FIM:2002 FRF:2002 GHC:2008 HRK:2023 IEP:2002 LTL:2015 LVL:2014 "
        "MRO:2017 MTL:2008 MZM:2006 NLG:2002 RUR:1998 SDD:2007 SIT:2007 SKK:2009 SLL:2023 "
        "SRG:2004 STD:2017 TMM:2009 VEB:2008 VEF:2018 YUM:2003 ZMK:2012 ZWD:2008 ZWL:2024 "
        "ZWR:2009 "
    ),
}

WITHDRAWN: dict[str, int] = {
    code: int(year)
    for codes in _WITHDRAWN.values()
    for code, year in (entry.split(":") for entry in codes.split())
}
"""Code to the year it was withdrawn: still accepted, with a flag, for history keeps them."""

EXPONENTS: dict[str, int] = {
    code: exponent for exponent, codes in _CURRENT.items() for code in codes.split()
} | {
    entry.split(":")[0]: exponent
    for exponent, codes in _WITHDRAWN.items()
    for entry in codes.split()
}
"""Code to the number of digits of its minor unit, withdrawn codes included.

Codes without a minor unit (XAU, XXX, XTS, ...) are absent: they need a declaration.
"""
