"""
Google Congestion Control as browsers have it today, to be held against: written from its published constants.

Each file is one of its blocks; `controller.Gcc` puts them together. Times are milliseconds as floats within, as in the
published algorithm, whose constants are in them.
"""
