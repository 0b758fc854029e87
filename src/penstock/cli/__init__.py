"""The person: commands, what they print, and how they end.

`main` assembles the commands and turns errors into sentences and exit codes. One module for each
group of commands; `session` opens the app, `output` and `progress` print. Data goes to stdout,
everything said about it to stderr. Heavy imports stand inside the commands, so that `--help` and
a mistyped option answer at once.
"""
