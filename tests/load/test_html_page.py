"""
The page: one file that needs nothing else, with every figure in it.
"""

import html.parser
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from load.reports import build, measurement
from telerelay.load import text
from telerelay.load.page import page
from telerelay.plots import Line, log_ticks, plot, ticks

VOID = {"meta", "line", "polyline", "br"}


class Checker(html.parser.HTMLParser):
    """Every tag is closed in order; what it refers to is collected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(report: dict[str, Any]) -> tuple[Checker, str]:
    document = page(report)
    checker = Checker()
    checker.feed(document)
    checker.close()
    return checker, document


def test_it_is_well_formed_and_refers_to_nothing() -> None:
    """
    No address, no script, no import: it opens without a network.
    """
    checker, document = checked(build())

    assert [] == checker.open
    assert [] == checker.links
    assert not {"script", "link", "img", "iframe", "object"} & set(checker.tags)
    assert not re.search(r"url\(|@import|https?://(?!127\.0\.0\.1)", document)
    assert document.startswith("<!doctype html>")


def test_it_has_every_figure_the_verdict_and_the_warnings() -> None:
    """
    The same text that the terminal shows.
    """
    seen = measurement()
    report = build(replace(seen, end=replace(seen.end, receive_overflows=2)), objective="loss<=0.01%")
    _, document = checked(report)

    for name, value in text.rows(report):
        assert html.escape(name) in document
        assert html.escape(value) in document
    assert "The objective is not met" in document
    assert html.escape(report["warnings"][0]) in document
    assert "--token …" in document


def test_it_is_for_dark_for_light_and_for_paper() -> None:
    """
    By the reader's own preference.
    """
    _, document = checked(build())

    assert "prefers-color-scheme: dark" in document
    assert "@media print" in document


def test_its_plots_are_drawings_with_names() -> None:
    """
    SVG that an XML parser takes, each with a title for those who do not see it.
    """
    _, document = checked(build())
    drawings = re.findall(r"<svg.*?</svg>", document, re.DOTALL)

    assert len(drawings) >= 6
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label")
        assert "NaN" not in drawing


def test_what_others_named_cannot_become_markup() -> None:
    """
    A server's or a machine's name is text.
    """
    report = build()
    report["set_up"]["machine"] = "<script>alert(1)</script>"
    report["warnings"] = ["<b>"]
    checker, _ = checked(report)

    assert "script" not in checker.tags


def test_a_run_in_which_nothing_came_has_a_page_too() -> None:
    """
    It says that nothing was measured.
    """
    seen = replace(
        measurement(), samples=[], latency={k: measurement().latency["audio"] for k in ("audio", "video", "resent")}
    )
    _, document = checked(build(seen))

    assert "nothing was measured" in document


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 97), (3, 3), (0, 1e9), (0.001, 0.002)])
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    """
    At least one, at most a dozen.
    """
    found = ticks(low, high)

    assert 1 <= len(found) <= 12
    assert all(low - 1e-9 <= each <= high + 1e-9 for each in found)


def test_ticks_of_a_logarithmic_axis_are_powers_of_ten() -> None:
    """
    With halves between where there are few.
    """
    assert [0.1, 1.0, 10.0, 100.0, 1000.0] == pytest.approx(log_ticks(0.1, 1000))
    assert [0.2, 0.5, 1.0, 2.0] == pytest.approx(log_ticks(0.2, 2))


def test_a_gap_in_a_line_is_a_gap_in_its_drawing() -> None:
    """
    Not a zero.
    """
    drawing = plot("t", [Line("a", ((0, 1.0), (1, 2.0), (2, None), (3, 1.0), (4, 1.5)))], x_label="s", y_label="n")

    assert 2 == drawing.count("<polyline")
