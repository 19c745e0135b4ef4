"""Arrays in, frozen results out: the statistics know nothing of frames, settings or words."""
