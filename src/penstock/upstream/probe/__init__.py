"""What an endpoint's answers tell about it: shape, paging, time of change, rate limits. Pure.

Two responses in, findings out, and the declaration to paste. `probe.probe` asks for the pages
through the `send` it is given; the parts judge what came: `sight` (where the records are), `guess`
(how it pages), `watermark` (which field tells of changes), `limits` (what headers say of the rate),
`declaration` (all of it as an author writes it).
"""
