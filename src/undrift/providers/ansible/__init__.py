"""Ansible: playbooks as they are, carried out by the user's own `ansible-playbook`.

Its check mode is the plan, a run without it the apply. Ansible is only ever executed, in a process and an environment
of its own; the one file that it loads of ours is `events.txt`, a callback that writes down what each task did.
What a playbook makes has no marks: one record for each playbook, in the state folder, says whose it is and what was
applied. Nothing is pruned; on leaving, a `destroy` playbook is run where one was declared.
"""
