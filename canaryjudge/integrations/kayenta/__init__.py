"""Kayenta: its canary configs as policies, its metric set pairs as data."""
