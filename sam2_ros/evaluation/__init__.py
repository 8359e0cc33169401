"""Scores of trackers on clips with known masks, as tables and pictures."""
