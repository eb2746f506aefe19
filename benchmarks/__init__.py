"""What is measured: each prints its figure beside a floor or a peer measured in the same run."""
