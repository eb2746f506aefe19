"""Shipped fakes: what a provider's author, or anyone who embeds Undrift, needs to test without the real thing."""
