"""What sends a message, one module a kind of receiver."""
