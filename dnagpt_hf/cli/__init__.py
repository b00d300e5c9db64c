"""The command `dnagpt`: one thin file per group of commands, which parse, call and report.

PyTorch and Transformers are imported inside the commands, so that `dnagpt --help` is quick.
"""

from dnagpt_hf.cli.application import app, main

__all__ = ["app", "main"]
