"""The canaries: what is planted, and how each may be spelled where it must not be."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

ECHOED = (
    *("me_facts", "me_log", "me_error", "next_link", "link_header", "link_path", "redirected"),
    *("record", "bad_record", "page_header", "no_json", "refusal", "route_log", "route_error"),
    *("route_cause", "cursor", "letter", "watermark_field"),
)
"""Sent by the first connection, each in its own header, and echoed each in a way of its own."""

CARRIED = (
    *("bearer", "query_key", "body_key", "basic_user", "basic_password", "hmac_secret"),
    *("client_secret", "refresh_0", "access_1", "refresh_1", "access_2", "refresh_2"),
    *("replaced", "never_sent"),
)
"""Told to providers in every way a scheme knows, and echoed in a refusal. never_sent is a setting
that no scheme uses; replaced is a new bearer, set later."""

KEYS = ("master", "new_master")

ODD = {
    "query_key": "a/b+c%d&e=f canary",
    "basic_password": 'pa:ss"wörd\\canary',
    "never_sent": "läng, wïth ümlauts & <markup> canary",
}
"""Characters that change their spelling; header fields carry none of these."""


SETTINGS = {
    "echoing": (*ECHOED, "query_key", "bearer", "never_sent"),
    "signing": ("basic_user", "basic_password", "body_key", "hmac_secret"),
    "granted": ("client_secret", "refresh_0"),
}
"""The secret settings of each connection."""

REFUSED_WITH = {
    "echoing": ("refusal", "query_key", "never_sent"),
    "signing": SETTINGS["signing"],
    "granted": ("client_secret", "refresh_2"),
}
"""What each provider tells when it refuses, beside the header that came."""


def plain(name: str) -> str:
    """The secret of that name."""
    return ODD.get(name, f"canary_{name}_9f8e7d6c5b")


def key(name: str) -> str:
    return base64.b64encode(f"canary {name}".ljust(32, "x").encode()).decode()


CANARIES = {name: plain(name) for name in (*ECHOED, *CARRIED)} | {name: key(name) for name in KEYS}


def spellings(name: str) -> set[str]:
    """Written without looking at how penstock finds them."""
    secret = CANARIES[name]
    coded = {
        base64.b64encode(f"{user}{secret}{rest}".encode()).decode()
        for user in ("", f"{plain('basic_user')}:", "u:", "me:")
        for rest in ("", ":")
    }
    if name == "basic_user":
        coded.add(base64.b64encode(f"{secret}:{plain('basic_password')}".encode()).decode())
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote(secret, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        html.escape(secret),
        repr(secret)[1:-1],
        secret.encode().hex(),
        secret.replace("_", "-"),  # as a file name has it
        *coded,
    }


def found_in(content: bytes) -> set[str]:
    """Names of the canaries that stand in it, however spelled."""
    return {
        name
        for name in CANARIES
        if any(spelling.encode() in content for spelling in spellings(name))
    }
