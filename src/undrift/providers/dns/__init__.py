"""The layer `dns`: zones on name servers, planned by octoDNS.

`entry`, `zonefiles`, `declaring` and `checking` need dnspython alone: CI uses them too.
"""
