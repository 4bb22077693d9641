"""A self-contained HTML page of results, and the picture of loss curves on it."""

import base64
import html
import io

import matplotlib.figure
import tensorflow as tf

from tf_student.evaluation.result import Evaluation
from tf_student.runtime import files

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; color: #222 }
img { max-width: 100%; image-rendering: pixelated; border: 1px solid #ddd }
table { border-collapse: collapse }
td, th { padding: .3rem 1rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
"""


def draw_curves(path: str, runs: dict[str, list[dict[str, float]]]) -> None:
    """Draws the losses of training runs side by side, as a PNG file.

    A panel shows the loss of a run and, where it has them, its held-out loss and the
    loss of its fake score. The scale is logarithmic unless a loss is negative.

    Args:
        path: of the file.
        runs: lines of the `metrics.jsonl` of each run, by title.
    """
    figure = matplotlib.figure.Figure(figsize=(5.0 * len(runs), 3.2), dpi=110)
    panels = figure.subplots(1, len(runs), squeeze=False)[0]
    for panel, (title, lines) in zip(panels, runs.items(), strict=True):
        for name in ("loss", "held_out_loss", "fake_loss"):
            points = [(line["step"], line[name]) for line in lines if name in line]
            if points:
                panel.plot(*zip(*points, strict=True), label=name.replace("_", " "))
        # A student's loss of distribution matching may be negative.
        values = [y for line in panel.lines for y in line.get_ydata()]
        scale = "log" if min(values, default=1) > 0 else "linear"
        panel.set(title=title, xlabel="step", yscale=scale)
        panel.legend()
        panel.grid(alpha=0.3)
    figure.tight_layout()
    # Matplotlib writes no remote files.
    content = io.BytesIO()
    figure.savefig(content, format="png")
    files.write_bytes(path, content.getvalue())


def write_report(
    path: str, title: str, evaluation: Evaluation, pictures: dict[str, str]
) -> None:
    """Writes a page that contains its pictures.

    Args:
        path: of the page.
        title: heading of the page.
        evaluation: the figures of the table.
        pictures: paths of PNG files by caption.
    """
    figures = "\n".join(_figure(*picture) for picture in pictures.items())
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>{_STYLE}</style></head><body>
<h1>{html.escape(title)}</h1>
{_table(evaluation)}
{figures}
</body></html>
"""
    files.write_text(path, page)


def _table(evaluation: Evaluation) -> str:
    head, *body = (
        tuple(html.escape(cell) for cell in row) for row in evaluation.rows()
    )
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body
    )
    names = "".join(f"<th>{name}</th>" for name in head)
    return f"""<table>
<tr>{names}</tr>
{rows}
</table>
<p>{html.escape(evaluation.protocol())} {html.escape(evaluation.verdict())}</p>"""


def _figure(caption: str, path: str) -> str:
    with tf.io.gfile.GFile(path, "rb") as file:
        data = base64.b64encode(file.read()).decode()
    caption = html.escape(caption)
    source = f"data:image/png;base64,{data}"
    return f'<h2>{caption}</h2>\n<img alt="{caption}" src="{source}">'
