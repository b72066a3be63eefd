"""Pictures of solutions and of traces."""

import logging


class _WithoutConfig(logging.Filter):
    """Drops what matplotlib says of a home that cannot be written: pictures need none."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(("mkdir -p failed", "Matplotlib created a temporary"))


logging.getLogger("matplotlib").addFilter(_WithoutConfig())
