"""``nco import``: weights that others published become released policies."""

from pathlib import Path
from typing import Literal

Kind = Literal["attention-model"]


def import_(kind: Kind, directory: Path, out: Path) -> int:
    """
    Turns published weights into a released policy folder; no code in them is run.

    Parameters
    ----------
    kind
        Whose: attention-model (wouterkool/attention-learn-to-route).
    directory
        Folder with args.json and epoch-*.pt.
    out
        New folder.
    """
    from nco.hub.importers import IMPORTERS

    IMPORTERS[kind](directory, out)
    print(out)
    return 0
