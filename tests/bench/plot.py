"""Plots as SVG text: bars and lines, light enough to be read in a diff. Logarithmic where the values say so."""

import math

_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1")
_FONT = 'font-family="sans-serif" font-size="12" fill="#333"'


def _svg(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")


def _text(x, y, words, anchor="start"):
    words = str(words).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {_FONT}>{words}</text>'


def _line(x1, y1, x2, y2, colour="#ddd"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _short(value):
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"


def _decades(low, high):
    """Powers of ten from at most `low` to at least `high`."""
    return [10.0 ** power for power in range(math.floor(math.log10(low)), max(math.ceil(math.log10(high)), math.floor(math.log10(low)) + 1) + 1)]


def ranges(title, unit, rows):
    """A bar from 1 to each (name, median, 99th percentile), on a logarithmic scale."""
    left, width, step = 110, 720, 40
    ticks = _decades(min(row[1] for row in rows), max(row[2] for row in rows))
    height = 60 + step * len(rows)

    def x(value):
        return left + (width - left - 30) * math.log10(value / ticks[0]) / math.log10(ticks[-1] / ticks[0])

    parts = [_text(left, 20, f"{title} ({unit}): median, and 99th percentile")]
    for tick in ticks:
        parts += [_line(x(tick), 32, x(tick), height - 25), _text(x(tick), height - 10, f"{tick:g}", "middle")]
    for number, (name, median, most) in enumerate(rows):
        y = 40 + step * number
        colour = _COLOURS[number % len(_COLOURS)]
        parts += [_text(left - 10, y + 15, name, "end"),
                  f'<rect x="{left}" y="{y}" width="{x(median) - left:.1f}" height="20" fill="{colour}"/>',
                  _line(x(median), y + 10, x(most), y + 10, colour), _line(x(most), y + 3, x(most), y + 17, colour)]
    return _svg(width, height, parts)


def shares(title, names, series):
    """Groups of horizontal bars from 0 to 100 %: {series: [share or None for each name]}."""
    left, width, bar = 290, 760, 9
    step = bar * len(series) + 10
    height = 70 + step * len(names)

    def x(share):
        return left + (width - left - 60) * share

    parts = [_text(10, 20, title)]
    for number, name in enumerate(series):
        parts += [f'<rect x="{left + 110 * number}" y="28" width="10" height="10" fill="{_COLOURS[number]}"/>',
                  _text(left + 15 + 110 * number, 38, name)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts += [_line(x(share), 48, x(share), height - 22), _text(x(share), height - 8, f"{100 * share:g} %", "middle")]
    for row, name in enumerate(names):
        y = 50 + step * row
        parts.append(_text(left - 10, y + step / 2 + 1, name, "end"))
        for number, values in enumerate(series.values()):
            if values[row] is not None:
                parts.append(f'<rect x="{left}" y="{y + bar * number}" width="{max(1.0, x(values[row]) - left):.1f}" '
                             f'height="{bar - 1}" fill="{_COLOURS[number]}"/>')
    return _svg(width, height, parts)


def lines(title, x_label, y_label, series):
    """{name: [(x, y), ...]}, both axes logarithmic; 0 stands at the left end."""
    left, top, width, height = 70, 55, 720, 330
    points = [point for line in series.values() for point in line]
    xs = _decades(1, max(x for x, _ in points))
    ys = _decades(min(y for _, y in points), max(y for _, y in points))

    def place(x, y):
        return (left + (width - left - 30) * math.log10(max(x, 1) / xs[0]) / math.log10(xs[-1] / xs[0]),
                height - 45 - (height - 45 - top) * math.log10(y / ys[0]) / math.log10(ys[-1] / ys[0]))

    parts = [_text(10, 20, title), _text(width - 30, height - 10, x_label, "end"), _text(10, 45, y_label)]
    for tick in xs:
        x, _ = place(tick, ys[0])
        parts += [_line(x, top, x, height - 45), _text(x, height - 28, _short(tick), "middle")]
    for tick in ys:
        _, y = place(1, tick)
        parts += [_line(left, y, width - 30, y), _text(left - 8, y + 4, f"{tick:g}", "end")]
    for number, (name, line) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        placed = [place(x, y) for x, y in line]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
                     + " ".join(f"{x:.1f},{y:.1f}" for x, y in placed) + '"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
        parts += [f'<rect x="{left + 160 * number}" y="28" width="10" height="10" fill="{colour}"/>',
                  _text(left + 15 + 160 * number, 38, name)]
    return _svg(width, height, parts)
