"""The last module that the server of `command_line` imports: its forks need not visit, nor copy, what it imported."""

import gc

gc.freeze()
