"""
The cases that are run: those of RFC 8867 and RFC 8869, lines of our own, traces, and consults.

Each file is one suite: a table of cases, nothing that runs.
"""
