"""Files: tables and other data, a watch's state, and policies that are edited."""
