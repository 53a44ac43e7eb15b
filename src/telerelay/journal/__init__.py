"""
What must not be lost: the facts of consults in a SQLite file, chained, acknowledged when they are on the disk.
"""

from telerelay.journal.anchors import Anchor, Signer
from telerelay.journal.committer import DiskTrouble
from telerelay.journal.journal import Fact, Journal
from telerelay.journal.salvage import Damage
from telerelay.journal.schema import FINAL_KINDS, Entry
from telerelay.journal.store import Store, StoreStats
from telerelay.journal.verify import Problem, Verdict, Verification

__all__ = [
    "FINAL_KINDS",
    "Anchor",
    "Damage",
    "DiskTrouble",
    "Entry",
    "Fact",
    "Journal",
    "Problem",
    "Signer",
    "Store",
    "StoreStats",
    "Verdict",
    "Verification",
]
