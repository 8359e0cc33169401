"""Readers and writers of clips with masks, in the formats of data sets and recordings."""
