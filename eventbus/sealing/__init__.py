"""Seals over the lines of a file, by which it shows that somebody altered them.

`keys` holds what evolves one way, `records` what stands in a `.seals` file,
`chain` writes it, `mending` ends it for one who died, `checking` holds the
lines against it, `anchors` keeps its head somewhere else, `declaring` says
what was taken away on purpose.
"""
