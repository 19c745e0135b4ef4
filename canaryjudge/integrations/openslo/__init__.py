"""OpenSLO: its documents as policies."""
