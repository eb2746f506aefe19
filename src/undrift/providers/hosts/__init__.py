"""Hosts: files, directories, links, blocks in foreign files, services and commands of one machine.

What is declared (`manifest`) knows nothing of how the machine is reached (`transport`), and neither knows how the
other does it: `local` is the first transport, on the machine the agent itself runs on.
"""
