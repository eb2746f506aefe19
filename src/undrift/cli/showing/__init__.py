"""JSON data of the agent as lines for people. Pure: nothing here asks or prints anything."""
