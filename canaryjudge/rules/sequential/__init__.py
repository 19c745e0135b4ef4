"""The sequential rule: the same questions asked at every look, valid at all of them; a method for each kind of metric."""
