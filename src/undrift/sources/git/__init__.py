"""Git repositories as sources.

```
source.GitSource ──▶ repository.Repository (one per URL and credentials, shared)
                        ├── polling     which refs are there? (ls-refs over HTTP, files, or git ls-remote)
                        ├── store       what we have: a bare partial store, fetched into by `git`
                        ├── reading     commits, trees and blobs out of it (one `git cat-file` that stays)
                        └── signing     who signed a commit or tag
references: refs → the commit to take (pure)    trees: what Git's data means (pure)    history: log and blame
remote: where and with which credentials        writing: a person's commits            command: running `git`
```

The network side is the `git` program, for it verifies host keys and knows every server. Nothing is ever
checked out; content goes from Git's store to memory.
"""
