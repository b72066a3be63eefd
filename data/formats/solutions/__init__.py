"""Solutions in files: ``.sol``, ``.tour``, best-known costs."""
