"""What things are: frozen values, enums, nothing that does I/O and nothing that knows a target by name."""
