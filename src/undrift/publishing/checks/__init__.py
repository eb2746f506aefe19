"""The checks of what was rendered: each takes a `finding.Work` and answers with a `finding.Verdict`; none raises."""
