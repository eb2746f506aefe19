"""What Undrift does: reconciling, planning, ordering, guarding, applying. Pure or over interfaces; no target by name."""
