"""What all pictures have in common: colours, two lines on top, whole files."""

from pathlib import Path

from matplotlib.figure import Figure

from nco.data.atomic import atomic
from nco.data.errors import InputError

# Tableau's ten without its grey; neighbours get different ones.
COLOURS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2"]
COLOURS += ["#b07aa1", "#d4a82a", "#9c755f", "#ff9da7", "#2f4b7c"]
INK, FAINT, PALE = "#222222", "#767676", "#d0d0d0"
HEAD = 0.68  # inches above the picture


def colours_in_a_ring(count: int) -> list[str]:
    """Colours for ``count`` things in a ring: no two neighbours alike."""
    colours = [COLOURS[k % len(COLOURS)] for k in range(count)]
    if count > 1 and colours[-1] == colours[0]:
        colours[-1] = COLOURS[len(COLOURS) // 2]
    return colours


def write_head(figure: Figure, title: str, subtitle: str) -> None:
    """Writes title and subtitle at the top left."""
    inch = 1 / figure.get_figheight()
    left = 0.24 / figure.get_figwidth()
    figure.text(left, 1 - 0.16 * inch, title, fontsize=13, weight="bold", color=INK, va="top")
    figure.text(left, 1 - 0.42 * inch, subtitle, fontsize=9, color=FAINT, va="top")


def save(figure: Figure, path: Path) -> None:
    """
    Writes a picture, whole or not at all; the suffix (.png, .svg, .pdf) chooses the format.

    Raises
    ------
    InputError
        There is no such format, or the folder is not writable.
    """
    kind = path.suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise InputError(f"{path}: unknown format, expected .png, .svg or .pdf")
    with atomic(path) as part:
        figure.savefig(part, format=kind, facecolor="white")
