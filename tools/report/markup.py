"""Small pieces of HTML: every text is escaped here, so that no name or path can break the page."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Cell", "Html", "check", "code", "number", "paragraph", "picture", "section", "table", "text", "unordered"]

Html = str


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: HTML, and whether it is a number (set right, in equal digits) or a row's head."""

    content: Html
    numeric: bool = False
    head: bool = False
    span: int = 1


def text(value: object) -> Html:
    """Plain text, escaped."""
    return html.escape(str(value))


def code(value: object) -> Html:
    """A name, a path or a hash."""
    return f"<code>{text(value)}</code>"


def number(value: str, below: str = "") -> Cell:
    """A numeric cell with an optional smaller second line."""
    return Cell(text(value) + (f"<small>{text(below)}</small>" if below else ""), numeric=True)


def paragraph(content: Html) -> Html:
    """A paragraph of HTML."""
    return f"<p>{content}</p>"


def unordered(items: Iterable[Html]) -> Html:
    """A list of HTML."""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def section(anchor: str, title: str, *content: Html) -> Html:
    """A titled part of the page that the navigation can point to."""
    return f'<section id="{text(anchor)}"><h2>{text(title)}</h2>{"".join(content)}</section>'


def check(holds: bool, content: Html) -> Html:
    """One result of a sanity check."""
    return f'<div class="check {"holds" if holds else "fails"}">{content}</div>'


def picture(png: bytes, alternative: str, caption: Html) -> Html:
    """A PNG inside the page, with its caption and a description for readers who do not see it."""
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{text(alternative)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def table(head: Sequence[Cell], rows: Iterable[tuple[str, Sequence[Cell]]], *, caption: str = "") -> Html:
    """A table that scrolls sideways on narrow screens; each row comes with a class name or the empty string."""
    top = "".join(_cell(cell, "th", ' scope="col"') for cell in head)
    body = "".join(
        f"<tr{f' class={chr(34)}{name}{chr(34)}' if name else ''}>{''.join(_body_cell(cell) for cell in cells)}</tr>"
        for name, cells in rows
    )
    above = f"<caption>{text(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{above}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _body_cell(cell: Cell) -> Html:
    return _cell(cell, "th", ' scope="row"') if cell.head else _cell(cell, "td", "")


def _cell(cell: Cell, tag: str, scope: str) -> Html:
    numeric = ' class="number"' if cell.numeric else ""
    span = f' colspan="{cell.span}"' if cell.span > 1 else ""
    return f"<{tag}{scope}{numeric}{span}>{cell.content}</{tag}>"
