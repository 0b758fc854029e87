"""Records become versions or dead letters.

One page is one unit of work: fetched, split, mapped, examined (all pure), decided against the
heads in the store (pure), then committed with its checkpoint in one transaction. `pull` is the
loop over pages; `stage`, `decide` and `unit` are what happens to one of them. Beside that way
stand `completion` (what a list leaves out), `watch` (drift), `held` (updates that count only as a
whole) and `sweep` (deletes proven by absence).
"""
