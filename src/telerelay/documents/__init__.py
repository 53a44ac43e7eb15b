"""
Documents and stills that people hand each other in a consult (docs/documents.md): taken over HTTPS in as many pieces as
the line makes of them, sealed under a key of the consult, handed out to who may have them, unreadable after its end.
"""

from telerelay.documents.documents import Access, Documents
from telerelay.documents.shelf import READERS, SENDERS, Item

__all__ = ["READERS", "SENDERS", "Access", "Documents", "Item"]
