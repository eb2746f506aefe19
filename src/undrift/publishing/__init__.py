"""The part that runs in CI: from an application's repository through every stage into the GitOps repository.

```
delivery (undrift.yaml) ─▶ rendering   every stage to an exact tree: editing, generating, renderers
                        ─▶ validating  all stages, before anything is pushed
                        ─▶ publishing  order, drift, trees, one atomic push by compare-and-swap
                        ─▶ reviewing   pull requests, comments and statuses are reconciled; describing says what is in them
                           promoting   gates, trains, rollback: revisions move along the stages
```

It holds no credentials of any target: Git and the forge are all it talks to. What it shows is made by the renderers,
validators and planner that the agent uses.
"""
