"""The command line: one module a command, text and JSON output. Nothing heavy is imported before it is needed."""

import gc

# A command ends soon: looking for cycles in what it has only just imported is a twentieth of its time.
gc.set_threshold(300_000, 20, 100)
