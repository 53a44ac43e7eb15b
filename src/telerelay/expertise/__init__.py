"""
Expertise at a distance without a call: a question and pictures, an answer within a day (docs/expertise.md).

What happened is a fact in a store, by default the relay's journal; times follow from the facts, so they outlive a
process.
"""

from telerelay.expertise.desk import Expertise
from telerelay.expertise.facts import ExpertiseFact
from telerelay.expertise.record import ExpertiseStatus
from telerelay.expertise.store import ExpertiseStore, JournalStore

__all__ = ["Expertise", "ExpertiseFact", "ExpertiseStatus", "ExpertiseStore", "JournalStore"]
