"""
What must not be lost: the facts of consults in a SQLite file, acknowledged when they are on the disk.
"""

from telerelay.journal.committer import DiskTrouble
from telerelay.journal.store import Store, StoreStats

__all__ = ["DiskTrouble", "Store", "StoreStats"]
