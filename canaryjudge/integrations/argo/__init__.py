"""Argo Rollouts: its analyses as policies."""
