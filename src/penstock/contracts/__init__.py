"""Canonical document types: what a payload must be, its normal form, its hash, its flags.

Each type is one frozen `Description` (parties, sales, banking), built of kinds, blocks and rules;
everything else is made from it: the examination of payloads (`contract`), its fast lane
(`quick`), the JSON Schema (`schema`), the docs page (`reference`), the posting projection.
`registry` is the door. No I/O but the docs page, no clock, no store, no network.
"""
