"""Speaking politely to somebody else's API.

Values and pure functions first: requests and responses (request, headers), exact JSON (wire,
tokens), field paths (fields), placeholders (template), pagers (paging, counted, links, graphql,
trail), time filters (since), credentials and schemes (auth, hmac_signed, oauth with its grants),
what an answer means and when to ask again (verdict, retry, circuit), the pace (pace, pacing), the
addresses a connection may reach (guard), what an unknown endpoint tells of itself (probe). `client`
is the one place that does I/O with them, through `transport`, and takes no more of an answer than
`body` allows; a file goes to disk first (files).
Nothing here knows of streams, documents or a store.
"""
