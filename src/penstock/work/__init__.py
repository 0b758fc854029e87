"""The clock: who may run a stream (leases), and running it.

The lease in the store decides who may write; whoever carries the hint that a stream is due (a
person, a ticker, a queue) only asks. `service` is the loop and `ticker` its look at what is due;
`pool` carries that to threads of this process, `queue` to the `crew` of every worker. `runner` runs
one stream, `children` one below each parent, `ending` says where that leaves it, `timetable` when
it runs next.
"""
