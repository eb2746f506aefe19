"""What Kubernetes takes, release by release, carried along so that it is known without a server (`scripts/schemas`)."""
