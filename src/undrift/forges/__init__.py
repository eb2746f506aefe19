"""Forges: pull requests, comments, statuses and reviews, one thin adapter a kind, all behind `interfaces.Forge`."""
