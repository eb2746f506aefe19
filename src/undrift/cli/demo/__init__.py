"""`undrift demo`: the main job on this machine, told step by step; each step is checked, not claimed."""
