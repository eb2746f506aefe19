"""The application itself: nothing that is published."""
