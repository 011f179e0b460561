"""Draws a rewritten step as SVG: each gradient's way from the examples to the Parameter, coloured by privacy type."""

from __future__ import annotations

from html import escape

from mindveil.passes.explain import parameter_rows
from mindveil.passes.pipeline import Compiled

__all__ = ["picture"]

BOX, GAP, ROW, LEFT, TOP = (132, 30), 22, 44, 24, 84
#: Privacy type of what leaves each stage, and its colour.
STAGES = (
    ("examples", "per example", "#f4b6a6"),
    ("gradient", "sum, unbounded", "#e8745a"),
    ("clip", "bounded", "#f2c14e"),
    ("noise", "released", "#7fb7a3"),
    ("mask", "released", "#7fb7a3"),
    ("divide", "released", "#7fb7a3"),
    ("update", "public", "#9db4d3"),
)


def picture(compiled: Compiled) -> str:
    """The step as an SVG document; a stage that a gradient does not pass is left out of its row."""
    rows = parameter_rows(compiled)
    width = LEFT * 2 + len(STAGES) * (BOX[0] + GAP)
    height = TOP + ROW * len(rows) + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="30" font-size="16" font-weight="600">One step over {compiled.typed.batch} rows</text>',
        f'<text x="{LEFT}" y="50" fill="#555">{escape(_released(compiled))}</text>',
    ]
    for column, (_, kind, colour) in enumerate(STAGES):
        x = LEFT + column * (BOX[0] + GAP)
        parts.append(f'<text x="{x}" y="{TOP - 10}" fill="{_dark(colour)}" font-size="11">{kind}</text>')
    for number, row in enumerate(rows):
        parts += _row(row, TOP + number * ROW)
    parts.append("</svg>")
    return "\n".join(parts)


def _row(row: tuple[str, ...], y: int) -> list[str]:
    name, update, clipped, noised, masked, divided = row
    texts = {
        "examples": "batch",
        "gradient": name,
        "clip": "" if clipped == "-" else "clip, sum",
        "noise": "" if noised == "-" else f"noise, {noised}",
        "mask": "" if masked == "-" else "mask",
        "divide": "" if divided == "-" else f"over {divided}",
        "update": update,
    }
    parts, last = [], None
    for column, (stage, kind, colour) in enumerate(STAGES):
        if not texts[stage]:
            continue
        x = LEFT + column * (BOX[0] + GAP)
        if last is not None:
            parts.append(
                f'<path d="M{last} {y + BOX[1] / 2:.0f} H{x - 6}" stroke="#888" fill="none"/>'
                f'<path d="M{x} {y + BOX[1] / 2:.0f} l-7 -4 v8 z" fill="#888"/>'
            )
        look = f'width="{BOX[0]}" height="{BOX[1]}" rx="6" fill="{colour}" fill-opacity="0.55" stroke="{colour}"'
        text = escape(_short(texts[stage]))
        parts.append(
            f'<g><title>{escape(name)}: {kind}</title><rect x="{x}" y="{y}" {look}/>'
            f'<text x="{x + BOX[0] / 2:.0f}" y="{y + 19}" text-anchor="middle">{text}</text></g>'
        )
        last = x + BOX[0]
    return parts


def _released(compiled: Compiled) -> str:
    if not compiled.releases:
        return "Nothing is noised: the step makes no privacy claim."
    return "; ".join(
        f"{r.tensors} {r.what} released with noise {r.noise_multiplier} x {r.clip_norm}, "
        f"records sampled at rate {r.sampling_rate:.4g}"
        for r in compiled.releases
    )


def _short(text: str) -> str:
    return text if len(text) <= 19 else f"{text[:8]}…{text[-10:]}"


def _dark(colour: str) -> str:
    return "#" + "".join(f"{int(colour[k : k + 2], 16) * 2 // 3:02x}" for k in (1, 3, 5))
