"""Clusters. What may live here: the provider `kubernetes` with its client and its way of reading, changing and judging.

The API server is asked as little as possible: marked resources are watched, so that a look costs no request.
"""
