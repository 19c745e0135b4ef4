"""Kayenta's judge: the same labels, scores and words as its own."""

from canaryjudge.compat.kayenta.judge import judge_kayenta

__all__ = ["judge_kayenta"]
