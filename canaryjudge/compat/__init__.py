"""What other tools say of the same data: Kayenta's judge, and the runs of Argo Rollouts and Flagger, replayed."""
