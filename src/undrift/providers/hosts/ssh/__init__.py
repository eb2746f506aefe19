"""Hosts over SSH: the same interface as the local one, spoken to the POSIX shell and the ordinary tools of a machine.

`connecting` keeps one connection a host, `scripts` are the programs that run there (constants; all data goes through
their standard input, see `speech`), `looking` and `stepping` write their requests and read their answers, and
`transport` puts what several want at the same time into one command.
"""
