"""Kayenta's judge: the same labels, scores and words as its own."""
