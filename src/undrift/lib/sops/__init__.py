"""Files that SOPS encrypted: told from others, and decrypted in memory by who has the data key.

The format is that of getsops/sops 3: every leaf is `ENC[AES256_GCM,…]`, bound to its path; `sops.mac` is a hash
over all leaves. What is not read here raises `Unsupported`: then the program itself has to be asked.
"""
