"""
What an operator sees: metrics, log lines, health. Reads the relay, changes nothing.
"""

from telerelay.observe.health import add_health
from telerelay.observe.lag import LoopLag
from telerelay.observe.logging import set_up_logging
from telerelay.observe.metrics import RelayCollector, RelayFacts, add_metrics

__all__ = ["LoopLag", "RelayCollector", "RelayFacts", "add_health", "add_metrics", "set_up_logging"]
