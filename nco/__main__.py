"""``python -m nco`` is the command ``nco``."""

from nco.cli import main

raise SystemExit(main())
