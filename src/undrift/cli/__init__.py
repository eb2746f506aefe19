"""The command line: one module a command, text and JSON output. Nothing heavy is imported before it is needed."""
