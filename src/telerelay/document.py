"""
The frame of a report that is one HTML file: head, style for dark, light and paper, title.

Pure. Used by the load tester and the simulator; no script, no font, no address.
"""

import html
from collections.abc import Sequence

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --dim: #5b6672; --rule: #d6dbe1;
  --a: #0b63c5; --b: #b4530a; --c: #187a4b; --bad: #b3261e; --good: #187a4b; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e8eaed; --dim: #9aa4af; --rule: #333a42;
  --a: #6fb1ff; --b: #f0a35e; --c: #67cf9b; --bad: #ff8a80; --good: #67cf9b; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .dim, figcaption, th { color: var(--dim); font-weight: 400; }
.verdict { border-left: .4rem solid var(--good); padding: .5rem 1rem; margin: 1rem 0; }
.verdict.missed { border-color: var(--bad); } .verdict strong { font-size: 1.15rem; }
.warning { border-left: .4rem solid var(--bad); padding: .25rem 1rem; margin: .5rem 0; }
li.missed b { color: var(--bad); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1.5rem; }
figure { margin: 0; break-inside: avoid; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--dim); font: 15px system-ui, sans-serif; } .grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 1.8; } .line.a { stroke: var(--a); } .line.b { stroke: var(--b); }
.line.c { stroke: var(--c); }
.legend { list-style: none; display: flex; gap: 1.25rem; margin: 0; padding: 0 0 0 4rem; font-size: .85rem; }
.legend li::before { content: ""; display: inline-block; width: 1.2rem; height: .2rem; margin-right: .4rem;
  vertical-align: middle; background: var(--a); }
.legend .b::before { background: var(--b); } .legend .c::before { background: var(--c); }
table { border-collapse: collapse; } td, th { padding: .2rem 1.5rem .2rem 0; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid var(--rule); } td { font-variant-numeric: tabular-nums; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 0 3rem; }
code { overflow-wrap: anywhere; }
@media print { body { margin: 0; font-size: 11pt; max-width: none; } :root { --paper: #fff; --ink: #000; --dim: #444;
  --rule: #bbb; --a: #0b63c5; --b: #b4530a; --c: #187a4b; --bad: #b3261e; --good: #187a4b; }
  .plots { grid-template-columns: 1fr 1fr; } }
"""


def document(title: str, parts: Sequence[str]) -> str:
    """A whole document of those parts; empty ones are left out. `title` is escaped here, the parts are not."""
    name = html.escape(title)
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{name}</h1>",
        *parts,
        "</body>",
        "</html>",
    ]
    return "\n".join(line for line in lines if line) + "\n"
