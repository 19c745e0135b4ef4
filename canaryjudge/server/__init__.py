"""The gate: releases and their states in a store, asked over HTTP by deploy tools, again and again."""
