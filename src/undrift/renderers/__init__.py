"""What turns the files of an artifact into documents: one module a renderer, none of which knows another."""
