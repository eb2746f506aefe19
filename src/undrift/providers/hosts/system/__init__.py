"""What a machine has beside files and services: one module for each facility, all of them in `facilities`."""
