"""The disk: what is kept, and the promises each verb makes about it.

`roles` and `work_roles` say what a store can do, `tables` describes its tables once, `schema` and
`migrations` make and change them. A module named for a role (`streams`, `runs`, `connections`,
`letters`, `reader`, `feed`) fills it for every backend; `sqlite` and `postgres` are backends, and
the modules named after them are their parts: `sqlite_documents` has the hot statements. No business
rule lives here: the store compares, appends and commits.
"""
