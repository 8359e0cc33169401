"""The data engine: recordings that people and model annotate together (SAM 2 paper, section 5)."""
