"""
A served relay is killed, again and again, in the midst of everything that consults do: `make kills`.

`driver.py` plays it, `checks.py` says what is wrong, `report.py` prints what was measured.
"""
