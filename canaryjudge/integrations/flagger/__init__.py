"""Flagger: its Canaries as policies."""
