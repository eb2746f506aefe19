"""Code that could be anyone's: knows nothing of Undrift and imports nothing of it."""
