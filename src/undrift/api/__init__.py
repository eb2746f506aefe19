"""JSON for machines: the service over HTTP, on the agent's Unix socket."""
