"""What `undrift doctor` checks: this machine, the state folder, the agent, and without one Git and the targets."""
